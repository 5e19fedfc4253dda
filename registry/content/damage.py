"""Damaged blobs that are still in the store, because the disk refused to move their files.

Such a blob counts as missing: the next pull downloads it again, or passes it through.
"""

from collections.abc import AsyncIterator

from registry.catalog.damage import DamageCatalog
from registry.errors import StoreError
from registry.oci.byte_ranges import Span
from registry.oci.digest import Digest
from registry.store.contract import BlobReader, Body, Quarantine


class DamagedBlobs:
    """Knows which blobs of the store are damaged.

    The catalog says so for all processes, from before the file is moved into quarantine. If the
    catalog refuses the row, only this process knows it.
    """

    def __init__(self, catalog: DamageCatalog, store: Quarantine) -> None:
        self._catalog = catalog
        self._store = store
        self._unrecorded: set[Digest] = set()

    def add(self, digest: Digest) -> None:
        """Note that the file of a blob is damaged, and that the catalog does not say so."""
        self._unrecorded.add(digest)

    def discard(self, digest: Digest) -> None:
        """Note that the catalog is right about a blob: it has the damage, or the blob is new."""
        self._unrecorded.discard(digest)

    async def has(self, digest: Digest) -> bool:
        """Whether the file of a blob in the store is damaged.

        If the catalog cannot be read, this process does not know more than what it found itself.
        """
        if digest in self._unrecorded:
            return True
        try:
            is_damaged = self._catalog.is_damaged(digest)
        except StoreError:
            return False
        # If the damaged file was moved, the file in the store is new, and not recorded yet.
        return is_damaged and not await self._store.is_quarantined(digest)


class UndamagedBlobs:
    """A `BlobReader` without the blobs that are known to be damaged."""

    def __init__(self, blobs: BlobReader, damaged: DamagedBlobs) -> None:
        self._blobs = blobs
        self._damaged = damaged

    async def stat(self, digest: Digest) -> int | None:
        """Return the size in bytes; None if the blob is missing or damaged."""
        size = await self._blobs.stat(digest)
        # The catalog is not asked about a blob that is missing anyway, as readers that wait for a
        # download ask again and again.
        return None if size is None or await self._damaged.has(digest) else size

    async def read(self, digest: Digest, span: Span) -> AsyncIterator[bytes]:
        """Yield the bytes of `span` in pieces of at most 1 MiB.

        Raises:
            StoreError: the blob is missing or damaged, is shorter than the span, or cannot be read.
        """
        if await self._damaged.has(digest):
            raise StoreError(str(digest), "is damaged")
        async for piece in self._blobs.read(digest, span):
            yield piece

    async def open(self, digest: Digest) -> Body | None:
        """Open a blob for sending; None if the blob is missing or damaged.

        Raises:
            StoreError: the blob cannot be read.
        """
        try:
            body = await self._blobs.open(digest)
        except StoreError:
            if await self._damaged.has(digest):
                return None
            raise
        # As in `stat`: most blobs that are asked for before a download are missing.
        if body is not None and await self._damaged.has(digest):
            body.close()
            return None
        return body

    async def scan(self, after: str = "") -> AsyncIterator[tuple[Digest, int]]:
        """Yield every blob that is not damaged, with its size, in the order of digests."""
        async for digest, size in self._blobs.scan(after):
            if not await self._damaged.has(digest):
                yield digest, size
