"""What a data folder holds: whole blobs, blobs on their way in, and the way in itself."""

import asyncio
import math
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from registry.content.account import ContentAccount
from registry.content.ingest import Destination, Ingest, SparseIngest
from registry.errors import StoreError
from registry.oci.byte_ranges import Span
from registry.oci.digest import Digest
from registry.store.contract import BlobReader, BlobStore
from registry.store.ingests import IngestInfo, Ingests
from registry.store.partial import PartialReader

T = TypeVar("T")
AnyIngest = TypeVar("AnyIngest", Ingest, SparseIngest)
POLL = 0.02  # seconds between two looks whether another process has ended its ingest


class Content:
    """Content by digest; pulls, bundles and manifests come by here.

    `blobs` are the whole ones, to stat, open and read. That is the folder's own store, except where
    a bundle is served from its files.
    """

    def __init__(
        self, blobs: BlobReader, store: BlobStore, ingests: Ingests, space: ContentAccount
    ) -> None:
        self.blobs = blobs
        self._ingests = ingests
        self._space = space
        self._destination = Destination(ingests, store, space)

    def try_ingest(self, digest: Digest) -> Ingest | None:
        """Become the writer of a blob; None while another ingest, in any process, writes it.

        Another process may have stored the blob since the caller looked: look again, now that no
        other process can store it.

        Raises:
            OSError: the disk refuses files.
        """
        writer = self._ingests.take(digest)
        return None if writer is None else Ingest(digest, writer, self._destination)

    async def wait_for_ingest(self, digest: Digest, within: float = math.inf) -> Ingest | None:
        """Become the writer of a blob, as soon as no other ingest is; None when it is stored.

        Raises:
            StoreError: another process has been its writer for `within` seconds.
            OSError: the disk refuses files.
        """
        ingest = await self._wait(lambda: self.try_ingest(digest), digest, within)
        return await self._unless_stored(ingest)

    async def wait_for_parts(self, digest: Digest, size: int) -> SparseIngest | None:
        """Become the writer of a blob of `size` bytes that comes in parts; None when it is stored.

        Raises:
            StoreError, OSError: the disk refuses files.
        """
        writer = await self._wait(lambda: self._ingests.open_sparse(digest, size), digest, math.inf)
        return await self._unless_stored(SparseIngest(digest, writer, self._destination, size))

    async def _wait(self, attempt: Callable[[], T | None], digest: Digest, within: float) -> T:
        deadline = time.monotonic() + within
        while (found := attempt()) is None:
            if time.monotonic() >= deadline:
                why = f"another process has been writing it for more than {within:g} seconds"
                raise StoreError(str(digest), why)
            await asyncio.sleep(POLL)
        return found

    async def _unless_stored(self, ingest: AnyIngest) -> AnyIngest | None:
        """Return an open ingest; if another process has stored the blob meanwhile, end it."""
        is_missing = False
        try:
            is_missing = await self.blobs.stat(ingest.digest) is None
        finally:
            if not is_missing:
                await ingest.suspend()
        return ingest if is_missing else None

    def follow(self, digest: Digest) -> PartialReader | None:
        """Open a blob on its way in, to read what has come; None when it has no partial file."""
        return self._ingests.open(digest)

    def read_info(self, digest: Digest) -> IngestInfo | None:
        """Return what the writer of a blob told about its download; None when it told nothing."""
        return self._ingests.read_info(digest)

    def measure_partial(self, digest: Digest) -> int:
        """Return how many bytes of a blob that is not whole are on the disk."""
        return self._ingests.measure(digest)

    async def read_all(self, digest: Digest, limit: int) -> bytes | None:
        """Return all bytes of a blob of at most `limit` bytes, after their digest was checked.

        None when it is not here, is larger, or is damaged; a damaged one goes into quarantine.
        """
        size = await self.blobs.stat(digest)
        if size is None or size > limit:
            return None
        try:
            raw = b"".join([piece async for piece in self.blobs.read(digest, Span(0, size))])
        except StoreError as error:
            if await self.blobs.stat(digest) is None:  # evicted since its size was read
                return None
            why = str(error)
        else:
            if digest.matches(raw):
                return raw
            why = "its bytes have changed on disk"
        with suppress(OSError, StoreError):  # it is found out again when it is read again
            await self._space.quarantine(digest, why)
        return None

    async def check_size(self, digest: Digest, found: int) -> bool:
        """Whether a stored blob of `found` bytes has its recorded size; else quarantine it.

        Raises:
            StoreError, OSError: the catalog or the disk refused.
        """
        return await self._space.check_size(digest, found)

    async def mark_used(self, digest: Digest) -> None:
        """Have a stored blob count as used just now, so that it is not evicted next.

        Raises:
            StoreError, OSError: the catalog or the disk refused.
        """
        await self._space.release_reservation(digest)
