"""A bundle as a read-only blob store, which reads the files of the bundle."""

import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from registry.bundle.read.head import Opened
from registry.bundle.read.sources import Extent
from registry.bundle.read.verified import VerifiedBlobs
from registry.errors import BundleInvalid, MediumUnreadable, StoreError
from registry.logs import get_logger
from registry.oci.byte_ranges import Span
from registry.oci.digest import Digest
from registry.store.contract import FileBody
from registry.tasks import in_thread

PIECE = 1024 * 1024  # bytes
_State = tuple[int, int]


class BundleStore:
    """Blobs of a bundle by digest. Each blob is verified once, when it is first read."""

    def __init__(self, extents: Mapping[Digest, list[Extent]], verified: VerifiedBlobs) -> None:
        self._extents = extents
        self._verified = verified
        paths = {place.path for places in extents.values() for place in places}
        self._states = {path: _read_state(path.stat()) for path in paths}
        self._log = get_logger("registry.bundle")

    @classmethod
    def over(cls, opened: Opened, folder: Path) -> Self:
        """Return the store of a bundle; this reads `opened.blobs` to the end.

        The results of verification are written to `folder`, for all processes that use `folder`.

        Raises:
            BundleInvalid: the bundle is too damaged, or is a stream.
            OSError: the bundle cannot be read.
        """
        extents = {}
        for member in opened.blobs:
            extents[member.digest] = places = opened.source.locate(member)
            if not places:
                raise BundleInvalid(opened.source.label, "a stream cannot be served; give a file")
        return cls(extents, VerifiedBlobs(folder))

    @property
    def size(self) -> int:
        """The size in bytes of all blobs in the given files of the bundle."""
        return sum(place.size for places in self._extents.values() for place in places)

    async def stat(self, digest: Digest) -> int | None:
        """Return the size in bytes; None when the blob is not here, or is known to be damaged."""
        places = self._extents.get(digest)
        if places is None or self._verified.recall(digest) is False:
            return None
        return sum(place.size for place in places)

    async def is_right(self, digest: Digest) -> bool:
        """Whether the bytes of a blob agree with its digest; they are hashed only once.

        Raises:
            StoreError: the result cannot be written.
            MediumUnreadable: the blob cannot be read.
        """
        known = self._verified.recall(digest)
        if known is None:
            known = await self._verified.find(digest, lambda: self._list_pieces(digest))
            if not known:
                files = [str(place.path) for place in self._extents[digest]]
                self._log.error("damaged, not served", blob=str(digest), files=files)
        return known

    def _list_pieces(self, digest: Digest) -> Iterator[bytes]:
        for place in self._extents[digest]:
            yield from self._read(place, 0, place.size)

    def _read(self, place: Extent, start: int, stop: int) -> Iterator[bytes]:
        descriptor = self._open(place.path)
        try:
            while start < stop:
                with _reading(place.path):
                    piece = os.pread(descriptor, min(PIECE, stop - start), place.offset + start)
                if not piece:
                    raise MediumUnreadable(str(place.path), "is shorter than it was")
                yield piece
                start += len(piece)
        finally:
            os.close(descriptor)

    async def read(self, digest: Digest, span: Span) -> AsyncIterator[bytes]:
        """Yield the bytes of `span` in pieces of at most 1 MiB.

        Raises:
            StoreError: the blob is not here, is damaged, or is shorter than the span.
            MediumUnreadable: the files of the bundle cannot be read, or have changed.
        """
        size = await self.stat(digest)
        if size is None or span.stop > size or not await self.is_right(digest):
            raise StoreError(
                str(digest), "is not in the bundle, is shorter than that, or is damaged"
            )
        begin = 0
        for place in self._extents[digest]:
            start, stop = max(span.start - begin, 0), min(span.stop - begin, place.size)
            if start < stop:
                pieces = self._read(place, start, stop)
                while piece := await in_thread(next, pieces, b""):
                    yield piece
            begin += place.size

    def _open(self, path: Path) -> int:
        """Open a file of the bundle; refuse it if it has changed since the bundle was opened."""
        with _reading(path):
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        if _read_state(os.fstat(descriptor)) != self._states[path]:
            os.close(descriptor)
            why = "has changed since it was opened; serve it again"
            raise MediumUnreadable(str(path), why)
        return descriptor

    def find_problem(self) -> str:
        """Return which file of the bundle cannot be read, and why; empty if all can be."""
        for path in self._states:
            try:
                os.close(self._open(path))
            except MediumUnreadable as error:
                return f"the medium cannot be read: {error}"
        return ""

    async def open(self, digest: Digest) -> FileBody | None:
        """Return the open files of a blob; None when it is not here, or is damaged."""
        if digest not in self._extents or not await self.is_right(digest):
            return None
        file: FileBody | None = None
        try:
            for place in reversed(self._extents[digest]):
                size = place.size + (file.size if file is not None else 0)
                file = FileBody(self._open(place.path), size, place.offset, file)
        except StoreError:
            if file is not None:
                file.close()
            raise
        return file

    async def scan(self, after: str = "") -> AsyncIterator[tuple[Digest, int]]:
        """Yield every blob with its size in bytes, in the order of digests (as text)."""
        for digest in sorted(self._extents, key=str):
            size = await self.stat(digest)
            if str(digest) > after and size is not None:
                yield digest, size


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn each `OSError` of the body into a `MediumUnreadable`."""
    try:
        yield
    except OSError as error:
        raise MediumUnreadable(str(path), error.strerror or str(error)) from error


def _read_state(found: os.stat_result) -> _State:
    # The inode number is left out: FAT gives other numbers when a medium is plugged in again.
    return found.st_size, found.st_mtime_ns
