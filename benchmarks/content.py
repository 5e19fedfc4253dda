"""The data: large blobs made once and kept, images of them, and an origin that serves both.

The origin is a real docker-registry without login. Its folder is laid out directly, with links to
the kept files, so that a gibibyte of content costs no upload.
"""

import gzip
import hashlib
import io
import json
import os
import random
import shutil
import tarfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.drayage import cache_folder
from tests.fakes.upstream.content import Stamped
from tests.fakes.upstream.images import CONFIG, GZIP_LAYER, MANIFEST, build_manifest, describe

PIECE = 1 << 20


@dataclass(frozen=True)
class Blob:
    """Bytes in a file, and what they are called."""

    path: Path
    digest: str
    size: int


@dataclass(frozen=True)
class Image:
    """A tag with its manifest; `blobs` are config and layers in the order of the manifest."""

    repository: str
    tag: str
    manifest: bytes
    blobs: tuple[Blob, ...]

    @property
    def digest(self) -> str:
        """What the tag points to."""
        return name_bytes(self.manifest)


def name_bytes(data: bytes) -> str:
    """Return the digest of these bytes."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def make_blob(size: int, seed: int = 0) -> Blob:
    """Return `size` pseudo-random bytes, the same for the same `seed`; written on first use."""
    folder = cache_folder() / "bench-data"
    folder.mkdir(exist_ok=True)
    with suppress(StopIteration):
        known = next(folder.glob(f"{size}-{seed}-*"))
        return Blob(known, "sha256:" + known.name.rpartition("-")[2], size)
    content = Stamped(size, seed)
    hasher = hashlib.sha256()
    scratch = folder / f".new-{os.getpid()}"
    with scratch.open("wb") as file:
        offset = 0
        while offset < size:
            piece = content.piece(offset, PIECE)
            hasher.update(piece)
            file.write(piece)
            offset += piece.nbytes
    path = folder / f"{size}-{seed}-{hasher.hexdigest()}"
    scratch.replace(path)
    return Blob(path, "sha256:" + hasher.hexdigest(), size)


def make_image(folder: Path, repository: str, layers: Sequence[Blob]) -> Image:
    """Make an image `repository:1` of layers that are only ever moved, never unpacked."""
    config = keep(folder, b'{"architecture":"amd64","os":"linux"}')
    return _assemble(repository, config, layers)


def make_runnable(folder: Path, repository: str, layers: int, size: int) -> Image:
    """Make an image that an engine unpacks: each layer one file of `size` bytes, gzipped."""
    packed, diffs = [], []
    for number in range(layers):
        data = random.Random(number).randbytes(size)  # noqa: S311 - it has to be the same again
        with io.BytesIO() as file:
            with tarfile.open(fileobj=file, mode="w") as tar:
                member = tarfile.TarInfo(f"file-{number}")
                member.size = size
                tar.addfile(member, io.BytesIO(data))
            unpacked = file.getvalue()
        diffs.append(name_bytes(unpacked))
        packed.append(keep(folder, gzip.compress(unpacked, 1, mtime=0)))
    document = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": ["/none"]},
        "rootfs": {"type": "layers", "diff_ids": diffs},
    }
    return _assemble(repository, keep(folder, json.dumps(document).encode()), packed)


def keep(folder: Path, data: bytes) -> Blob:
    """Write bytes into a folder as a blob."""
    digest = name_bytes(data)
    path = folder / digest.replace(":", "-")
    path.write_bytes(data)
    return Blob(path, digest, len(data))


def _assemble(repository: str, config: Blob, layers: Sequence[Blob]) -> Image:
    fields = {
        "config": describe(CONFIG["docker"], config.digest, config.size),
        "layers": [describe(GZIP_LAYER["docker"], one.digest, one.size) for one in layers],
    }
    manifest = build_manifest(MANIFEST["docker"], fields)
    return Image(repository, "1", manifest, (config, *layers))


def publish(root: Path, image: Image) -> None:
    """Lay out an image in the folder of a docker-registry (its `rootdirectory`)."""
    base = root / "docker/registry/v2"
    repository = base / "repositories" / image.repository
    for blob in image.blobs:
        _place(base, blob)
        _link(repository / "_layers" / blob.digest.replace(":", "/"), blob.digest)
    manifests = repository / "_manifests"
    _place(base, keep(root, image.manifest))
    _link(manifests / "revisions" / image.digest.replace(":", "/"), image.digest)
    tag = manifests / "tags" / image.tag
    _link(tag / "current", image.digest)
    _link(tag / "index" / image.digest.replace(":", "/"), image.digest)


def _place(base: Path, blob: Blob) -> None:
    algorithm, encoded = blob.digest.split(":")
    path = base / "blobs" / algorithm / encoded[:2] / encoded / "data"
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        return
    try:
        path.hardlink_to(blob.path)
    except OSError:  # another file system
        shutil.copyfile(blob.path, path)


def _link(folder: Path, digest: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "link").write_text(digest)
