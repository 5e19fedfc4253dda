"""A bundle as a blob store: read-only, straight from the files that it is."""

import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import aiofiles.os

from registry.bundle.archive import read_blob_name
from registry.bundle.medium import Extent
from registry.bundle.reading import Opened
from registry.errors import BundleInvalid, StoreError
from registry.oci.digest import Digest
from registry.oci.span import Span
from registry.store.blobs import BlobFile
from registry.store.part import SealedPart

PIECE = 1024 * 1024  # bytes


class BundleStore:
    """Blobs of a bundle by digest. What it gives has not been verified: whoever reads it hashes."""

    def __init__(self, extents: Mapping[Digest, list[Extent]]) -> None:
        self._extents = extents

    @classmethod
    def over(cls, opened: Opened) -> Self:
        """Return the store of a bundle, whose `rest` this reads to its end.

        Raises:
            BundleInvalid: it cannot be read on, or is a stream.
        """
        extents = {}
        for member in opened.rest:
            extents[read_blob_name(member.name)] = places = opened.medium.locate(member)
            if not places:
                raise BundleInvalid(opened.medium.label, "a stream cannot be gone about in")
        return cls(extents)

    async def stat(self, digest: Digest) -> int | None:
        """Return the size in bytes; None means surely not here."""
        places = self._extents.get(digest)
        return None if places is None else sum(place.size for place in places)

    async def read(self, digest: Digest, span: Span) -> AsyncIterator[bytes]:
        """Yield the bytes of `span` in pieces of at most 1 MiB."""
        begin = 0
        for place in self._extents.get(digest, []):
            first, last = max(span.start, begin), min(span.stop, begin + place.size)
            position = first
            if first < last:
                descriptor = self._open(place.path)
                try:
                    while position < last:
                        size = min(PIECE, last - position)
                        piece = await aiofiles.os.wrap(os.pread)(
                            descriptor, size, place.offset + position - begin
                        )
                        if not piece:
                            break
                        yield piece
                        position += len(piece)
                finally:
                    os.close(descriptor)
                if position < last:
                    raise StoreError(str(place.path), "is shorter than it was")
            begin += place.size
        if span.stop > begin:
            raise StoreError(str(digest), "is not in the bundle")

    def _open(self, path: Path) -> int:
        try:
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise StoreError(str(path), error.strerror or str(error)) from error

    def open_file(self, digest: Digest) -> BlobFile | None:
        """Return the file of a blob that is in one piece."""
        places = self._extents.get(digest, [])
        if len(places) != 1:
            return None
        (place,) = places
        return BlobFile(self._open(place.path), place.size, place.offset)

    async def adopt(self, part: SealedPart) -> None:
        """Refuse: a bundle is not written to."""
        raise StoreError(str(part.digest), "a bundle is read-only")

    async def delete(self, digest: Digest) -> bool:
        """Refuse: a bundle is not written to."""
        raise StoreError(str(digest), "a bundle is read-only")

    async def set_aside(self, digest: Digest) -> None:
        """Leave it where it is."""

    async def discard(self, digest: Digest) -> None:
        """Discard nothing."""

    async def scan(self, after: str = "") -> AsyncIterator[tuple[Digest, int]]:
        """Yield every blob with its size in bytes, in the order of digests (as text)."""
        for digest in sorted(self._extents, key=str):
            if str(digest) > after:
                yield digest, sum(place.size for place in self._extents[digest])

    @contextmanager
    def claim(self, digest: Digest) -> Iterator[bool]:  # noqa: ARG002 (the contract's)
        """Refuse: nothing here is ever deleted."""
        yield False
