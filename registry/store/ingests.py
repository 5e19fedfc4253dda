"""The folder of partial files: blobs that are not whole yet, found by digest, by any process."""

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from registry.errors import DigestInvalid
from registry.oci.digest import Digest
from registry.store.files import leads_to, take_lock, translate_errors
from registry.store.partial import PartialReader, PartialWriter
from registry.store.sparse import SparsePartial


@dataclass(frozen=True, slots=True)
class IngestInfo:
    """What the writer of a partial file tells the other processes about the download.

    `size` is in bytes, and None where the upstream did not say it; `started` is in epoch seconds.
    `suspects` are the endpoints that sent wrong bytes before: the next download asks them last.
    """

    size: int | None
    repository: str
    endpoint: str
    started: float
    suspects: Sequence[str] = ()


_SIDE_FILES = frozenset({".json", ".new", ".fresh", ".ranges"})  # beside the bytes
_KINDS = ("part", "pieces")  # the files that have the bytes: without holes, and with holes
_BLOCK = 512  # bytes of a block, by which the kernel measures a file with holes


class Ingests:
    """The folder of partial files. Methods block for a moment only (open, lock, stat)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def take(self, digest: Digest) -> PartialWriter | None:
        """Become the writer of a partial file, new or left behind; None while another process is.

        Raises:
            OSError: the disk refuses files.
        """
        path = self._path(digest, "part")
        descriptor = take_lock(path)
        return None if descriptor is None else PartialWriter(path, digest, descriptor)

    def open_sparse(self, digest: Digest, size: int) -> SparsePartial | None:
        """Become the writer of a blob of `size` bytes whose parts come in any order.

        Parts that an earlier writer has left are kept; bytes that a download has left are deleted.
        None while another process writes the blob.

        Raises:
            OSError, StoreError: the disk refuses files.
        """
        place = self.take(digest)
        if place is None:
            return None
        try:
            place.restart()
            return SparsePartial(self._path(digest, "pieces"), digest, size, place)
        except BaseException:
            place.close()
            raise

    def open(self, digest: Digest) -> PartialReader | None:
        """Open a partial file for reading; None when the blob has none."""
        try:
            return PartialReader(self._path(digest, "part"))
        except FileNotFoundError:
            return None

    def measure(self, digest: Digest) -> int:
        """Return the bytes that the partial files of a blob take; 0 when it has none."""
        size = 0
        with suppress(FileNotFoundError):
            size += self._path(digest, "part").stat().st_size
        with suppress(FileNotFoundError):
            size += self._path(digest, "pieces").stat().st_blocks * _BLOCK
        return size

    def measure_all(self) -> int:
        """Return the bytes that all partial files take."""
        return sum(self.measure(digest) for digest in self.list_digests())

    def idle(self, digest: Digest) -> float:
        """Return the seconds since a partial file was last written to; 0 when the blob has none."""
        written = []
        for kind in _KINDS:
            with suppress(FileNotFoundError):
                written.append(self._path(digest, kind).stat().st_mtime)
        return max(0.0, time.time() - max(written)) if written else 0.0

    def list_digests(self) -> list[Digest]:
        """Return the digests of the blobs that have partial files, written to or left behind."""
        found: dict[Digest, None] = {}
        for path in (path for kind in _KINDS for path in self._folder.glob(f"*.{kind}")):
            with suppress(DigestInvalid):  # not a file of ours
                found[Digest.parse(path.stem.replace("-", ":", 1))] = None
        return list(found)

    def sweep(self, age: float) -> int:
        """Delete side files that are `age` seconds old and have no partial file (any more).

        Crashes leave them. Returns how many were deleted.
        """
        count = 0
        for path in self._folder.iterdir():
            try:
                digest = Digest.parse(path.stem.replace("-", ":", 1))
                is_old = path.suffix in _SIDE_FILES and time.time() - path.stat().st_mtime >= age
            except (DigestInvalid, FileNotFoundError):
                continue  # not a file of ours, or deleted just now
            if not is_old or any(self._path(digest, kind).exists() for kind in _KINDS):
                continue
            with self.hold(digest) as is_free:  # a download that begins just now needs its own
                if is_free:
                    path.unlink(missing_ok=True)
                    count += 1
        return count

    @contextmanager
    def hold(self, digest: Digest) -> Iterator[bool]:
        """Keep other writers away from a blob, during the body; yield false if it has a writer."""
        path = self._path(digest, "part")
        descriptor = take_lock(path)
        if descriptor is None:
            yield False
            return
        try:
            yield True
        finally:
            try:
                if not os.fstat(descriptor).st_size and leads_to(path, descriptor):
                    path.unlink()
            finally:
                os.close(descriptor)

    def delete(self, digest: Digest) -> None:
        """Delete all files of a blob; only within `hold`."""
        self._path(digest, "part").unlink(missing_ok=True)
        self.delete_side_files(digest)

    def write_info(self, digest: Digest, info: IngestInfo) -> None:
        """Tell the other processes about a download.

        Raises:
            StoreError: the disk refused.
        """
        path = self._path(digest, "json")
        temporary = path.with_suffix(".new")
        with translate_errors(path):
            temporary.write_text(json.dumps(asdict(info)), encoding="utf-8")
            temporary.replace(path)

    def read_info(self, digest: Digest) -> IngestInfo | None:
        """Return what the writer told; None when it has told nothing (yet)."""
        try:
            return IngestInfo(**json.loads(self._path(digest, "json").read_bytes()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def delete_side_files(self, digest: Digest) -> None:
        """Delete what is beside the partial file of a blob; only its writer may.

        These are what was told about the download, and parts that an import left.
        """
        for kind in ("json", "ranges", "pieces"):
            self._path(digest, kind).unlink(missing_ok=True)

    def _path(self, digest: Digest, kind: str) -> Path:
        return self._folder / f"{digest.algorithm}-{digest.encoded}.{kind}"
