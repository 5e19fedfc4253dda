"""A blob store in memory; it keeps the same contract as `DiskStore`."""

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from registry.errors import StoreError
from registry.oci.byte_ranges import Span
from registry.oci.digest import Digest
from registry.store.contract import ChunkBody
from registry.store.partial import SealedPartial

PIECE = 1024 * 1024


class MemoryStore:
    """Implements `BlobStore` in a dictionary."""

    def __init__(self) -> None:
        self._blobs: dict[Digest, bytes] = {}
        self._aside: dict[Digest, bytes] = {}
        self._open: Counter[Digest] = Counter()

    async def stat(self, digest: Digest) -> int | None:
        blob = self._blobs.get(digest)
        return None if blob is None else len(blob)

    async def read(self, digest: Digest, span: Span) -> AsyncIterator[bytes]:
        blob = self._blobs.get(digest)
        if blob is None or len(blob) < span.stop:
            raise StoreError(str(digest), "not here, or not so much of it")
        async for piece in _cut(blob, span):
            yield piece

    async def adopt(self, part: SealedPartial) -> None:
        try:
            self._blobs[part.digest] = part.path.read_bytes()
            part.path.unlink()
        except OSError as error:
            raise StoreError(str(part.path), str(error)) from error

    async def delete(self, digest: Digest) -> bool:
        return self._blobs.pop(digest, None) is not None

    async def quarantine(self, digest: Digest) -> None:
        if digest in self._blobs:
            self._aside[digest] = self._blobs.pop(digest)

    async def is_quarantined(self, digest: Digest) -> bool:
        return digest in self._aside

    async def delete_quarantined(self, digest: Digest) -> None:
        self._aside.pop(digest, None)

    async def scan_quarantined(self) -> AsyncIterator[tuple[Digest, int]]:
        for digest, blob in self._aside.items():
            yield digest, len(blob)

    async def scan(self, after: str = "") -> AsyncIterator[tuple[Digest, int]]:
        for digest, blob in sorted(self._blobs.items()):
            if str(digest) > after:
                yield digest, len(blob)

    @contextmanager
    def claim(self, digest: Digest) -> Iterator[bool]:
        yield digest in self._blobs and not self._open[digest]

    async def open(self, digest: Digest) -> ChunkBody | None:
        blob = self._blobs.get(digest)
        if blob is None:
            return None
        self._open[digest] += 1

        def release() -> None:
            self._open[digest] -= 1

        return ChunkBody(len(blob), lambda span: _cut(blob, span), release)


async def _cut(blob: bytes, span: Span) -> AsyncIterator[bytes]:
    for at in range(span.start, span.stop, PIECE):
        yield blob[at : min(at + PIECE, span.stop)]
