"""Bundles of the images of a filled folder as files, and a served bundle."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from registry.bundle.format.head_files import write_head
from registry.bundle.format.lock import ImageRequest, Lock
from registry.bundle.format.volumes import Part, Piece, Volume, cut
from registry.bundle.write.choice import Choice
from registry.bundle.write.layout import Contents, Item, list_whole
from registry.bundle.write.plan import Plan
from registry.bundle.write.writer import write_file
from registry.oci.byte_ranges import Span
from registry.oci.digest import Digest
from registry.store.contract import BlobReader
from tests.harness.commands import run_command
from tests.harness.filled_folder import FilledFolder, split
from tests.harness.mirror import MirrorProcess

WHOLE = Choice("complete", ())


class BundleProcess(MirrorProcess):
    """`entrepot bundle serve` on free ports of the loopback; `with` starts and stops it."""

    def __init__(self, folder: Path, bundle: Sequence[Path], *, workers: int = 2) -> None:
        super().__init__(folder, {"docker.io": "http://127.0.0.1:9"}, workers=workers)
        self._bundle = bundle
        self.scratch = folder / "tmp"
        self.scratch.mkdir()

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the command, whose temporary files are below `scratch`."""
        return super().environment | {"TMPDIR": str(self.scratch)}

    def command(self, *arguments: str) -> list[str]:
        """Return the arguments of `entrepot`."""
        ports = [f"--{name}=127.0.0.1:{port}" for name, port in self._ports.items()]
        served = map(str, self._bundle)
        return ["bundle", "serve", *served, *ports, f"--workers={self._workers}", *arguments]

    def refuse(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Start it, wait until it fails, and return its output."""
        done = run_command(*self.command(*arguments), environment=self.environment)
        assert done.returncode != 0, done.stdout
        return done


async def plan(filled: FilledFolder, names: Sequence[str], choice: Choice = WHOLE) -> Plan:
    """Plan a bundle of images by name; all of them have to be stored."""
    requests = []
    for name in names:
        repository, tag = split(name)
        assert tag is not None
        requests.append(ImageRequest(repository, tag))
    planned = await filled.content.planner.plan(requests, choice)
    assert planned.failures == {}
    return planned


async def write_tar(filled: FilledFolder, planned: Plan, path: Path) -> Path:
    """Write a bundle as one file."""
    head = write_head(planned.lock, planned.manifests)
    await write_file(Contents(head, list_whole(planned.lock), filled.store), path, lambda _: None)
    return path


async def write_volumes(
    filled: FilledFolder, planned: Plan, folder: Path, limit: int
) -> list[Path]:
    """Write a bundle as volumes of at most `limit` bytes each."""
    lock, store = planned.lock, filled.store
    pieces = cut(lock.blobs, len(lock.manifests), 16 * 1024, limit)
    paths = []
    for number, volume in enumerate(pieces, 1):
        items = [await _describe(piece, store) for piece in volume]
        label = Volume(lock.bundle_id, number, len(pieces), _list_parts(lock, items, volume))
        head = {"volume.json": label.raw, "bundle.json": lock.raw}
        path = folder / f"{number:04}.tar"
        await write_file(Contents(head, tuple(items), store), path, lambda _: None)
        paths.append(path)
    return paths


async def _describe(piece: Piece, store: BlobReader) -> Item:
    check = piece.digest
    if piece.part:
        span = Span(piece.start, piece.start + piece.size)
        check = Digest.of(b"".join([part async for part in store.read(piece.digest, span)]))
    return Item(piece.name, piece.digest, piece.start, piece.size, check)


def _list_parts(lock: Lock, items: Sequence[Item], volume: Sequence[Piece]) -> dict[str, Part]:
    return {
        item.name: Part(item.check, item.start, item.size, lock.sizes[item.blob])
        for item, piece in zip(items, volume, strict=True)
        if piece.part
    }
