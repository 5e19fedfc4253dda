"""A bundle as a blob store: read-only, straight from the files that it is."""

import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import aiofiles.os
import structlog

from registry.bundle.format.tar import read_blob_name
from registry.bundle.read.head import Opened
from registry.bundle.read.sources import Extent
from registry.bundle.read.verified import VerifiedBlobs
from registry.errors import BundleInvalid, StoreError
from registry.oci.byte_ranges import Span
from registry.oci.digest import Digest
from registry.store.contract import FileBody
from registry.store.partial import SealedPartial

PIECE = 1024 * 1024  # bytes
_State = tuple[int, int]


class BundleStore:
    """Blobs of a bundle by digest. Each is verified once, by whoever wants its bytes first."""

    def __init__(self, extents: Mapping[Digest, list[Extent]], proofs: VerifiedBlobs) -> None:
        self._extents = extents
        self._proofs = proofs
        paths = {place.path for places in extents.values() for place in places}
        self._states = {path: _tell_state(path.stat()) for path in paths}
        self._log = structlog.get_logger("registry.bundle")

    @classmethod
    def over(cls, opened: Opened, folder: Path) -> Self:
        """Return the store of a bundle, whose `rest` this reads to its end.

        What was found right is noted in `folder`, for all processes that use it.

        Raises:
            BundleInvalid: it cannot be read on, or is a stream.
            OSError: it cannot be read.
        """
        extents = {}
        for member in opened.rest:
            extents[read_blob_name(member.name)] = places = opened.source.locate(member)
            if not places:
                raise BundleInvalid(opened.source.label, "a stream cannot be served; give a file")
        return cls(extents, VerifiedBlobs(folder))

    @property
    def size(self) -> int:
        """How many bytes the blobs that are here have."""
        return sum(place.size for places in self._extents.values() for place in places)

    async def stat(self, digest: Digest) -> int | None:
        """Return the size in bytes; None means surely not here, or not right."""
        places = self._extents.get(digest)
        if places is None or self._proofs.recall(digest) is False:
            return None
        return sum(place.size for place in places)

    async def is_right(self, digest: Digest) -> bool:
        """Whether the bytes of a blob are what its name says; they are read only once.

        Raises:
            StoreError: they cannot be read.
        """
        known = self._proofs.recall(digest)
        if known is None:
            known = await self._proofs.find(digest, lambda: self._list_pieces(digest))
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
                piece = os.pread(descriptor, min(PIECE, stop - start), place.offset + start)
                if not piece:
                    raise StoreError(str(place.path), "is shorter than it was")
                yield piece
                start += len(piece)
        except OSError as error:
            raise StoreError(str(place.path), error.strerror or str(error)) from error
        finally:
            os.close(descriptor)

    async def read(self, digest: Digest, span: Span) -> AsyncIterator[bytes]:
        """Yield the bytes of `span` in pieces of at most 1 MiB.

        Raises:
            StoreError: the blob is not here or not right, or is shorter than the span.
        """
        size = await self.stat(digest)
        if size is None or span.stop > size or not await self.is_right(digest):
            raise StoreError(str(digest), "is not in the bundle, or not so much of it, or damaged")
        begin = 0
        for place in self._extents[digest]:
            start, stop = max(span.start - begin, 0), min(span.stop - begin, place.size)
            if start < stop:
                pieces = self._read(place, start, stop)
                while piece := await aiofiles.os.wrap(next)(pieces, b""):
                    yield piece
            begin += place.size

    def _open(self, path: Path) -> int:
        """Open a file that is as it was when the bundle was opened: what was proved still holds."""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise StoreError(str(path), error.strerror or str(error)) from error
        if _tell_state(os.fstat(descriptor)) != self._states[path]:
            os.close(descriptor)
            raise StoreError(str(path), "has changed since it was opened; serve it again")
        return descriptor

    async def open(self, digest: Digest) -> FileBody | None:
        """Return the open files of a blob; None when it is not here, or not right."""
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

    async def adopt(self, part: SealedPartial) -> None:
        """Refuse: a bundle is not written to."""
        raise StoreError(str(part.digest), "a bundle is read-only")

    async def delete(self, digest: Digest) -> bool:
        """Refuse: a bundle is not written to."""
        raise StoreError(str(digest), "a bundle is read-only")

    async def quarantine(self, digest: Digest) -> None:
        """Leave it where it is."""

    async def delete_quarantined(self, digest: Digest) -> None:
        """Discard nothing."""

    async def scan_quarantined(self) -> AsyncIterator[tuple[Digest, int]]:
        """Yield nothing: nothing is set aside."""
        empty: tuple[tuple[Digest, int], ...] = ()
        for blob in empty:
            yield blob

    async def scan(self, after: str = "") -> AsyncIterator[tuple[Digest, int]]:
        """Yield every blob with its size in bytes, in the order of digests (as text)."""
        for digest in sorted(self._extents, key=str):
            size = await self.stat(digest)
            if str(digest) > after and size is not None:
                yield digest, size

    @contextmanager
    def claim(self, digest: Digest) -> Iterator[bool]:  # noqa: ARG002 (the contract's)
        """Refuse: nothing here is ever deleted."""
        yield False


def _tell_state(found: os.stat_result) -> _State:
    # No inode: FAT makes new numbers when a medium is plugged in again.
    return found.st_size, found.st_mtime_ns
