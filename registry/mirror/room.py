"""Room on the disk: promised before a fill begins, and made by evicting what is coldest.

`storage.limit` bounds what blobs and parts take together, `storage.reserve` what stays free of the
file system. Whoever cannot be given room is told so by a StoreError: its clients are then served
straight from the upstream, and nothing is kept.
"""

import asyncio
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

import structlog

from registry.catalog.room import RoomCatalog, StoredBlobRecord
from registry.errors import StoreError
from registry.metrics import Metrics
from registry.mirror.eviction import plan_eviction
from registry.oci.digest import Digest
from registry.settings import StorageSettings
from registry.store.blobs import BlobStore
from registry.store.locks import Locks
from registry.store.spool import Spool

HIGH, LOW = 0.98, 0.95  # of the limit: the steward evicts when above the one, down to the other
TURN = 5.0  # seconds between two looks of the steward
ATTEMPTS = 3  # to evict and reserve, while others take the room that was made
_LOCK = "eviction"


class RoomKeeper(Protocol):
    """Who gives out room on the disk."""

    async def reserve(self, digest: Digest, size: int) -> None:
        """Promise a fill `size` bytes in all, or raise StoreError."""

    async def settle(self, digest: Digest) -> None:
        """Note what a fill that has ended without a blob left behind."""

    async def record(self, digest: Digest, size: int) -> None:
        """Record a blob that has become whole."""


class Room:
    """Gives out room, in any process."""

    def __init__(
        self,
        catalog: RoomCatalog,
        store: BlobStore,
        spool: Spool,
        locks: Locks,
        *,
        folder: Path,
        storage: StorageSettings,
        metrics: Metrics,
        clock: Callable[[], float],
    ) -> None:
        self._catalog = catalog
        self._store = store
        self._spool = spool
        self._locks = locks
        self._folder = folder
        self._storage = storage
        self._metrics = metrics
        self._clock = clock
        self._log = structlog.get_logger("registry.mirror")

    async def reserve(self, digest: Digest, size: int) -> None:
        """Promise a fill that it may take `size` bytes in all; asking again changes the promise.

        Raises:
            StoreError: there is no such room, and nothing (more) can be evicted for it.
        """
        if await self._lack(digest, size) <= 0:
            return
        async with self._locks.hold(_LOCK):
            # Again, as others may have made room meanwhile; and again after what was made is taken.
            for _ in range(ATTEMPTS):
                lack = await self._lack(digest, size)
                if lack <= 0:
                    return
                if not await self._evict(lack, digest):
                    break
        await self.settle(digest)
        raise StoreError(
            str(self._folder),
            f"no room for {size} bytes within storage.limit and storage.reserve, and nothing left"
            " to evict; raise storage.limit or free disk space",
        )

    async def _lack(self, digest: Digest, size: int) -> int:
        """Reserve, and return how many bytes have to be freed before that holds."""
        missing = await self._catalog.reserve(digest, size, self._storage.limit)
        ahead = size - self._spool.measure(digest)
        return max(missing, self._storage.reserve + ahead - _measure_free(self._folder))

    async def settle(self, digest: Digest) -> None:
        """Note what a fill that has ended left: the rest of its part, or an unrecorded blob."""
        size = await self._store.stat(digest)
        if size is None:
            await self._catalog.settle(digest, self._spool.measure(digest))
        else:
            await self.record(digest, size)

    async def record(self, digest: Digest, size: int) -> None:
        """Record a blob that has become whole."""
        self._metrics.stored_bytes.inc(size)
        await self._catalog.record(digest, size, self._clock())

    async def _evict(self, wanted: int, filling: Digest) -> int:
        """Delete the coldest blobs that nobody reads, then parts that nobody writes.

        Returns how many bytes that made free.
        """
        freed = 0
        tried: set[Digest] = set()
        blobs = await self._catalog.list_blobs()
        while victims := plan_eviction(blobs, wanted - freed, kept=tried):
            tried.update(victim.digest for victim in victims)
            freed += await self._delete(victims)
        if freed < wanted:
            freed += await self._drop_parts(filling)
        return freed

    async def _evict_some(self, most: int) -> None:
        """Delete the coldest blobs that nobody reads, up to `most` bytes."""
        blobs = await self._catalog.list_blobs()
        await self._delete(plan_eviction(blobs, most, kept=(), most=most))

    async def _drop_parts(self, filling: Digest) -> int:
        freed = 0
        for digest in self._catalog.list_reservations():
            if digest != filling and not self._spool.is_written(digest):
                freed += self._spool.measure(digest)
                self._spool.drop(digest)
                await self.settle(digest)
        return freed

    async def _delete(self, victims: Iterable[StoredBlobRecord]) -> int:
        freed = 0
        for victim in victims:
            with self._store.claim(victim.digest) as is_free:
                if is_free:
                    # The row first: whatever a crash leaves, no row promises what is not there.
                    await self._catalog.doom(victim.digest)
                    await self._store.delete(victim.digest)
                    await self._catalog.bury(victim.digest)
                    freed += victim.size
        self._metrics.evicted_bytes.inc(freed)
        if freed:
            self._log.info("evicted", bytes=freed)
        return freed

    async def keep_tidy(self) -> None:
        """Be the steward: mend what crashes left behind, and keep a little room ready."""
        is_mended = False
        while True:
            try:
                if not is_mended:
                    await self._mend()
                    is_mended = True
                used = self._catalog.used()
                if used > self._storage.limit * HIGH:
                    async with self._locks.hold(_LOCK):
                        await self._evict_some(used - int(self._storage.limit * LOW))
            except (StoreError, OSError) as error:  # a disk that refuses may do so for a while
                self._log.error("not tidied", why=str(error))
            await asyncio.sleep(TURN)

    async def _mend(self) -> None:
        for digest in self._catalog.list_doomed():
            await self._store.delete(digest)
            await self._catalog.bury(digest)
        for digest in self._catalog.list_reservations():
            if not self._spool.is_written(digest):
                await self.settle(digest)


def _measure_free(folder: Path) -> int:
    state = os.statvfs(folder)
    return state.f_bavail * state.f_frsize
