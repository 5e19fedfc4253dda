"""The folder of partial files, where every process finds blobs that are not whole yet."""

import fcntl
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from registry.errors import DigestInvalid
from registry.oci.byte_ranges import Span
from registry.oci.digest import Digest
from registry.store.files import leads_to, open_new, take_lock, translate_errors
from registry.store.partial import PartialReader, PartialWriter
from registry.store.small_files import parse_time, read_small_json
from registry.store.sparse import SparsePartial, read_record


@dataclass(frozen=True, slots=True)
class IngestInfo:
    """Information about a download, which its writer writes for other processes.

    `size` is in bytes, and None if the upstream did not name it; `started` is in epoch seconds.
    `endpoint` is empty until the first bytes are there. `suspects` are the endpoints that sent
    wrong bytes before: the next download asks them last. `blob` is the digest of the blob.
    `senders` says who has sent which bytes: pairs of where a span ends, and the endpoints that sent
    it.
    """

    size: int | None
    repository: str
    endpoint: str
    started: float
    suspects: Sequence[str] = ()
    blob: str = ""
    senders: Sequence[tuple[int, Sequence[str]]] = ()


_SIDE_FILES = frozenset({".json", ".new", ".fresh", ".ranges"})  # files without bytes of the blob
_KINDS = ("part", "pieces")  # files with bytes of the blob: without holes, and with holes
_BLOCK = 512  # bytes of a block in `st_blocks`


def name_beside(digest: Digest, owner: str) -> Digest:
    """Return the name of the partial file that `owner` writes beside that of another writer.

    It has the form of a digest, so the file is counted, deleted and reserved for like any other.
    """
    return Digest.of(f"{owner} {digest}".encode())


class Ingests:
    """The folder of partial files. The methods block only for a moment (open, lock, stat)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def take(self, digest: Digest, part: Digest | None = None) -> PartialWriter | None:
        """Become the writer of a new or an existing partial file; None if it has another writer.

        `part` is the name of the partial file, if it is not the digest (`name_beside`).

        Raises:
            OSError: the disk refuses files.
        """
        path = self._path(part or digest, "part")
        descriptor = take_lock(path)
        return None if descriptor is None else PartialWriter(path, digest, descriptor)

    def open_sparse(self, digest: Digest, size: int) -> SparsePartial | None:
        """Become the writer of a blob of `size` bytes whose parts come in any order.

        Parts from an earlier import are kept; bytes from an earlier download are deleted. Returns
        None if the blob has another writer.

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
        """Open a partial file for reading; None if the blob has no partial file."""
        try:
            return PartialReader(self._path(digest, "part"))
        except FileNotFoundError:
            return None

    def list_kept_parts(self, digest: Digest, size: int) -> list[Span]:
        """Return which bytes of a blob of `size` bytes are kept in a file with holes, sorted."""
        path = self._path(digest, "pieces")
        try:
            return read_record(path, size, path.stat().st_size)
        except FileNotFoundError:
            return []

    def measure(self, digest: Digest) -> int:
        """Return the bytes that the partial files of a blob take; 0 if there are none."""
        size = 0
        with suppress(FileNotFoundError):
            size += self._path(digest, "part").stat().st_size
        with suppress(FileNotFoundError):
            size += self._path(digest, "pieces").stat().st_blocks * _BLOCK
        return size

    def name_all_beside(
        self, digest: Digest, owners: Sequence[str]
    ) -> tuple[list[Digest], list[Digest]]:
        """Return `name_beside` for these owners: up to the last file that is there, and the rest.

        If the disk refuses, this does not say so, as it will when somebody writes.
        """
        names, count = [name_beside(digest, owner) for owner in owners], 0
        with suppress(OSError):
            for number, name in enumerate(names, 1):
                count = number if self.measure(name) else count
        return names[:count], names[count:]

    def idle(self, digest: Digest) -> float:
        """Return the seconds since the last write to a partial file; 0 if the blob has none.

        Signs of life of its writer are no writes, and the beginning of a writer is one.
        """
        written = []
        for kind in _KINDS:
            with suppress(FileNotFoundError):
                written.append(self._path(digest, kind).stat().st_mtime)
        return max(0.0, time.time() - max(written)) if written else 0.0

    def list_digests(self) -> list[Digest]:
        """Return the digests of all blobs that have partial files, with or without a writer."""
        found: dict[Digest, None] = {}
        for path in (path for kind in _KINDS for path in self._folder.glob(f"*.{kind}")):
            with suppress(DigestInvalid):  # not a file of ours
                found[Digest.parse(path.stem.replace("-", ":", 1))] = None
        return list(found)

    def list_running(self) -> list[Digest]:
        """Return the digests of the blobs that have a writer now, in any process."""
        return [digest for digest in self.list_digests() if self._has_writer(digest)]

    def _has_writer(self, digest: Digest) -> bool:
        try:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(self._path(digest, "part"), flags)
        except OSError:
            return False
        try:
            # Shared, so that two processes that look at the same time do not see each other.
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def sweep(self, age: float) -> int:
        """Delete side files that are `age` seconds old and whose partial file does not exist.

        Crashes leave these files. Returns how many were deleted.
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
            with self.hold(digest) as is_free:  # a new download needs its side files
                if is_free:
                    path.unlink(missing_ok=True)
                    count += 1
        return count

    @contextmanager
    def hold(self, digest: Digest) -> Iterator[bool]:
        """Lock a blob against other writers during the body; yield false if it has a writer."""
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
        """Delete all partial and side files of a blob; call this only within `hold`."""
        self._path(digest, "part").unlink(missing_ok=True)
        self.delete_side_files(digest)

    def write_info(self, digest: Digest, info: IngestInfo) -> None:
        """Write information about a download for other processes.

        The time of the file stays that of the last follower, if there is one (`note_follower`).

        Raises:
            StoreError: the disk refused.
        """
        path = self._path(digest, "json")
        temporary = path.with_suffix(".new")
        with translate_errors(path):
            with open_new(temporary) as file:
                file.write(json.dumps(asdict(info)).encode())
            with suppress(FileNotFoundError):
                former = path.stat()
                os.utime(temporary, ns=(former.st_atime_ns, former.st_mtime_ns))
            temporary.replace(path)

    def read_info(self, digest: Digest) -> IngestInfo | None:
        """Return the information that the writer has written; None if it is missing or damaged."""
        try:
            return _parse_info(read_small_json(self._path(digest, "json")))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def find_blob(self, part: Digest) -> Digest:
        """Return the digest of the blob that a partial file is of, as its writer has noted."""
        info = self.read_info(part)
        with suppress(DigestInvalid):
            return Digest.parse(info.blob) if info is not None and info.blob else part
        return part

    def find_adopted(self, part: Digest) -> Digest:
        """Return the digest under which a partial file without a writer is in a store, if it is.

        As long as the file is here it is not, though the blob may be, from another partial file.
        """
        return part if self.measure(part) else self.find_blob(part)

    def delete_info(self, digest: Digest) -> None:
        """Delete the information about a download; only its writer may call this."""
        self._path(digest, "json").unlink(missing_ok=True)

    def note_follower(self, digest: Digest) -> None:
        """Let the writer of a partial file know that somebody follows it now."""
        with suppress(OSError):  # the writer has just ended, or the disk refuses
            os.utime(self._path(digest, "json"))

    def find_follower(self, digest: Digest) -> float:
        """Return when somebody followed a partial file, or its writer began (epoch; 0: never)."""
        try:
            return self._path(digest, "json").stat().st_mtime
        except OSError:
            return 0.0

    def delete_side_files(self, digest: Digest) -> None:
        """Delete the side files of a blob; only its writer may call this.

        They are the information about the download, and the parts from an earlier import.
        """
        for kind in ("json", "ranges", "pieces"):
            self._path(digest, kind).unlink(missing_ok=True)

    def _path(self, digest: Digest, kind: str) -> Path:
        return self._folder / f"{digest.algorithm}-{digest.encoded}.{kind}"


def _parse_info(fields: Any) -> IngestInfo:
    """Return the information in a JSON file.

    Raises:
        ValueError, TypeError: it is damaged.
    """
    info = IngestInfo(**fields)
    is_size = info.size is None or (type(info.size) is int and info.size >= 0)
    texts = (info.repository, info.endpoint, *info.suspects)
    senders = tuple((int(stop), tuple(origins)) for stop, origins in info.senders)
    texts += tuple(origin for _, origins in senders for origin in origins)
    if not is_size or not all(isinstance(text, str) for text in texts):
        raise ValueError("it is not about a download")
    started, suspects = parse_time(info.started), tuple(info.suspects)
    return replace(info, started=started, suspects=suspects, senders=senders)
