"""Bundles of the images of a filled folder: as a file, and in volumes."""

import io
from collections.abc import Sequence
from pathlib import Path

from registry.bundle.format.head_files import write_head
from registry.bundle.format.lock import ImageRequest
from registry.bundle.format.tar import END, format_blob_name, pad, write_header
from registry.bundle.format.volumes import Part, Volume, cut
from registry.bundle.write.choice import Choice
from registry.bundle.write.layout import Contents, list_whole
from registry.bundle.write.plan import Plan
from registry.bundle.write.writer import write_stream
from registry.oci.digest import Digest
from tests.harness.filled_folder import FilledFolder, split


async def plan_bundle(
    filled: FilledFolder, names: Sequence[str], have: frozenset[Digest] = frozenset()
) -> Plan:
    """Plan a bundle of whole images."""
    requests = [ImageRequest(*split(name)) for name in names]
    plan = await filled.content.planner.plan(requests, Choice("complete", (), have))
    assert plan.failures == {}
    return plan


async def write_bundle(
    filled: FilledFolder, names: Sequence[str], have: frozenset[Digest] = frozenset()
) -> bytes:
    """Return the bytes of a bundle of images."""
    plan = await plan_bundle(filled, names, have)
    stream = io.BytesIO()
    contents = Contents(write_head(plan.lock, plan.manifests), list_whole(plan.lock), filled.store)
    await write_stream(contents, stream, lambda _: None)
    return stream.getvalue()


def write_tar(files: Sequence[tuple[str, bytes]]) -> bytes:
    """Return an archive of these files, in the form of bundles."""
    heads = {(name, len(content)) for name, content in files}
    headers = {head: write_header(*head) for head in heads}  # some tests repeat a file very often
    blocks = [
        headers[name, len(content)] + content.ljust(pad(len(content)), b"\0")
        for name, content in files
    ]
    return b"".join(blocks) + END


async def write_volumes(
    filled: FilledFolder, names: Sequence[str], folder: Path, limit: int
) -> list[Path]:
    """Write a bundle as volumes of at most `limit` bytes."""
    plan = await plan_bundle(filled, names)
    lock, views = plan.lock, write_head(plan.lock, plan.manifests)
    head = [(name, views[name]) for name in ("bundle.json", "README.txt")]
    taken = sum(len(write_tar([file])) for file in head)
    volumes = cut(lock.blobs, len(lock.manifests), taken, limit)
    paths = []
    for number, pieces in enumerate(volumes, 1):
        parts, files = {}, []
        for piece in pieces:
            path = filled.path / "blobs" / piece.digest.algorithm / piece.digest.encoded[:2]
            content = (path / piece.digest.encoded).read_bytes()
            cutting = content[piece.start : piece.start + piece.size]
            name = format_blob_name(piece.digest, piece.part)
            files.append((name, cutting))
            if piece.part:
                whole = len(content)
                parts[name] = Part(Digest.of(cutting), piece.start, piece.size, whole)
        label = Volume(lock.bundle_id, number, len(volumes), parts).raw
        path = folder / f"b.{number:04}.tar"
        path.write_bytes(write_tar([("volume.json", label), *head, *files]))
        paths.append(path)
    return paths
