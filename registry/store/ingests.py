"""The spool: blobs still arriving, found by digest, from any process."""

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from registry.errors import DigestInvalid, StoreError
from registry.oci.digest import Digest
from registry.store.file_locks import leads_to, take_lock
from registry.store.partial import PartialReader, PartialWriter
from registry.store.sparse import SparsePartial


@dataclass(frozen=True, slots=True)
class IngestInfo:
    """What the writer of a part learnt when the upstream opened; `size` in bytes if it said so.

    `suspects` are the endpoints that sent wrong bytes before: whoever fetches next asks them last.
    """

    size: int | None
    repository: str
    endpoint: str
    started: float
    suspects: Sequence[str] = ()


_LEFT = frozenset({".json", ".new", ".fresh", ".ranges"})  # what a writer has beside its part
_ARRIVING = ("part", "pieces")  # what has the bytes: without holes, and with
_BLOCK = 512  # bytes that the kernel counts of a file with holes


class Ingests:
    """The folder of parts. Methods block for a moment only (open, lock, stat)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def take(self, digest: Digest) -> PartialWriter | None:
        """Become the writer of a part, new or left behind; None while someone else is.

        Raises:
            OSError: the disk refuses parts.
        """
        path = self._path(digest, "part")
        descriptor = take_lock(path)
        return None if descriptor is None else PartialWriter(path, digest, descriptor)

    def open_sparse(self, digest: Digest, whole: int) -> SparsePartial | None:
        """Become the writer of a blob of `whole` bytes that comes in parts, new or left behind.

        What a pull has left of it is thrown away: all of it comes again. None while someone else
        is its writer.

        Raises:
            OSError, StoreError: the disk refuses files.
        """
        place = self.take(digest)
        if place is None:
            return None
        try:
            place.restart()
            return SparsePartial(self._path(digest, "pieces"), digest, whole, place)
        except BaseException:
            place.close()
            raise

    def open(self, digest: Digest) -> PartialReader | None:
        """Open a part for reading; None when there is none."""
        try:
            return PartialReader(self._path(digest, "part"))
        except FileNotFoundError:
            return None

    def measure(self, digest: Digest) -> int:
        """Return the bytes that what has come of a blob takes; 0 when there is nothing."""
        size = 0
        with suppress(FileNotFoundError):
            size += self._path(digest, "part").stat().st_size
        with suppress(FileNotFoundError):
            size += self._path(digest, "pieces").stat().st_blocks * _BLOCK
        return size

    def measure_all(self) -> int:
        """Return the bytes that all parts take."""
        return sum(self.measure(digest) for digest in self.list_parts())

    def idle(self, digest: Digest) -> float:
        """Return the seconds since a part was last written; 0 when there is none."""
        written = []
        for kind in _ARRIVING:
            with suppress(FileNotFoundError):
                written.append(self._path(digest, kind).stat().st_mtime)
        return max(0.0, time.time() - max(written)) if written else 0.0

    def list_parts(self) -> list[Digest]:
        """Return whose parts there are, arriving or left behind."""
        found: dict[Digest, None] = {}
        for path in (path for kind in _ARRIVING for path in self._folder.glob(f"*.{kind}")):
            with suppress(DigestInvalid):  # a stranger's file
                found[Digest.parse(path.stem.replace("-", ":", 1))] = None
        return list(found)

    def sweep(self, age: float) -> int:
        """Delete what crashes left of parts that are gone, `age` seconds old; return how much."""
        count = 0
        for path in self._folder.iterdir():
            try:
                digest = Digest.parse(path.stem.replace("-", ":", 1))
                is_left = path.suffix in _LEFT and time.time() - path.stat().st_mtime >= age
            except (DigestInvalid, FileNotFoundError):
                continue  # a stranger's, or gone just now
            if not is_left or any(self._path(digest, kind).exists() for kind in _ARRIVING):
                continue
            with self.hold(digest) as is_free:  # else who begins it just now would lose its own
                if is_free:
                    path.unlink(missing_ok=True)
                    count += 1
        return count

    @contextmanager
    def hold(self, digest: Digest) -> Iterator[bool]:
        """Keep a part, or its place, from whoever would write it; false while somebody does."""
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

    def drop(self, digest: Digest) -> None:
        """Throw a part away that one holds."""
        self._path(digest, "part").unlink(missing_ok=True)
        self.forget(digest)

    def write_info(self, digest: Digest, info: IngestInfo) -> None:
        """Tell the other processes what is arriving.

        Raises:
            StoreError: the disk refused.
        """
        path = self._path(digest, "json")
        temporary = path.with_suffix(".new")
        try:
            temporary.write_text(json.dumps(asdict(info)), encoding="utf-8")
            temporary.replace(path)
        except OSError as error:
            raise StoreError(str(path), error.strerror or str(error)) from error

    def read_info(self, digest: Digest) -> IngestInfo | None:
        """Return what the writer announced; None when it has not (yet)."""
        try:
            return IngestInfo(**json.loads(self._path(digest, "json").read_bytes()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def forget(self, digest: Digest) -> None:
        """Drop what is beside a part that is whole, and parts of it that came otherwise.

        Only its writer may.
        """
        for kind in ("json", "ranges", "pieces"):
            self._path(digest, kind).unlink(missing_ok=True)

    def _path(self, digest: Digest, kind: str) -> Path:
        return self._folder / f"{digest.algorithm}-{digest.encoded}.{kind}"
