"""Room on the disk: promised before a fill begins, and made by evicting what is coldest.

`storage.limit` bounds what blobs and parts take together, `storage.reserve` what stays free of the
file system. Whoever cannot be given room is told so by a StoreError: its clients are then served
straight from the upstream, and nothing is kept.
"""

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from registry.catalog.usage import UsageCatalog
from registry.content.eviction import EVICTION, STALE, Evictor
from registry.errors import StoreError
from registry.metrics import Metrics
from registry.oci.digest import Digest
from registry.settings.model import StorageSettings
from registry.store.blocking import in_thread
from registry.store.contract import BlobStore
from registry.store.file_locks import ExclusiveLocks
from registry.store.ingests import Ingests

HIGH, LOW = 0.98, 0.95  # of the limit: the steward evicts when above the one, down to the other
RESPITE = 2.0  # seconds for which nobody looks for as much room again, when there is too little
FILL_WAIT = 10.0  # seconds that a fill waits while others evict; then it passes through
ATTEMPTS = 3  # to evict and reserve, while others take the room that was made


class SpaceKeeper(Protocol):
    """Who gives out room on the disk."""

    async def reserve(self, digest: Digest, size: int) -> None:
        """Promise a fill `size` bytes in all, or raise StoreError."""

    async def settle(self, digest: Digest) -> None:
        """Note what a fill that has ended without a blob left behind."""

    async def record(self, digest: Digest, size: int) -> None:
        """Record a blob that has become whole."""

    async def doubt(self, digest: Digest, found: int) -> bool:
        """Whether a stored blob of `found` bytes is not what was recorded; then it is set aside."""

    async def quarantine(self, digest: Digest, why: str) -> None:
        """Set a blob aside whose bytes are not what they were."""

    async def finish_interrupted(self) -> None:
        """End what a crash interrupted, and count what it left."""


class Space:
    """Gives out room, in any process."""

    def __init__(
        self,
        catalog: UsageCatalog,
        store: BlobStore,
        ingests: Ingests,
        evictor: Evictor,
        locks: ExclusiveLocks,
        *,
        folder: Path,
        storage: StorageSettings,
        metrics: Metrics,
        clock: Callable[[], float],
    ) -> None:
        self._catalog = catalog
        self._store = store
        self._ingests = ingests
        self._evictor = evictor
        self._locks = locks
        self._folder = folder
        self._storage = storage
        self._metrics = metrics
        self._clock = clock
        self._hopeless = (0, 0.0)  # so many bytes cannot be had until then

    async def reserve(self, digest: Digest, size: int) -> None:
        """Promise a fill that it may take `size` bytes in all; asking again changes the promise.

        Nothing is evicted for what could not be kept all the same. The part has to be the asker's.

        Raises:
            StoreError: there is no such room, and too little can be evicted for it; or other
                processes have been evicting for too long.
        """
        lack = await self._lack(digest, size)
        if lack <= 0:
            return
        is_hopeless = lack >= self._hopeless[0] and self._clock() < self._hopeless[1]
        if size > self._storage.limit or is_hopeless:
            raise await self._refuse(digest, size)
        try:
            async with self._locks.hold(EVICTION, FILL_WAIT):
                has_room = await self._make_room(digest, size)
        except StoreError:
            # Another process may have been evicting for long, and have made enough room for us.
            if await self._lack(digest, size) > 0:
                raise
            return
        if not has_room:
            raise await self._refuse(digest, size)

    async def _make_room(self, digest: Digest, size: int) -> bool:
        """Evict and reserve until there is room; whether there is."""
        # Again, as others may have made room meanwhile; and again after what was made is taken.
        for _ in range(ATTEMPTS):
            lack = await self._lack(digest, size)
            if lack <= 0:
                return True
            freed = await self._evictor.free(lack, digest)
            if freed is None:
                self._hopeless = lack, self._clock() + RESPITE
            if not freed:
                break
        return False

    async def _refuse(self, digest: Digest, size: int) -> StoreError:
        await self._settle(digest)
        return StoreError(
            str(self._folder),
            f"no room for {size} bytes within storage.limit and storage.reserve, and too little to"
            " evict; raise storage.limit, unpin images, or free disk space",
        )

    async def _lack(self, digest: Digest, size: int) -> int:
        """Reserve, and return how many bytes have to be freed before that holds."""
        missing = await self._catalog.reserve(digest, size, self._storage.limit)
        # What all fills together have been promised and have not written yet is as good as taken.
        ahead = self._catalog.count_reserved(digest) + size - self._ingests.measure_all()
        return max(missing, self._storage.reserve + ahead - measure_free(self._folder))

    async def settle(self, digest: Digest) -> None:
        """Note what a fill has left: the rest of its part, or an unrecorded blob.

        Its writer has to have let go of the part. Who has taken it since settles later.
        """
        with self._ingests.hold(digest) as is_left:
            if is_left:
                await self._settle(digest)

    async def _settle(self, digest: Digest) -> None:
        size = await self._store.stat(digest)
        if size is None:
            await self._catalog.release_reservation(digest, self._ingests.measure(digest))
            return
        self._ingests.forget(digest)
        await self.record(digest, size)
        if await self._store.stat(digest) is None:  # evicted just now
            await self._catalog.drop(digest)

    async def record(self, digest: Digest, size: int) -> None:
        """Record a blob that has become whole."""
        self._metrics.stored_bytes.inc(size)
        await self._catalog.record(digest, size, self._clock())

    async def doubt(self, digest: Digest, found: int) -> bool:
        """Whether a stored blob of `found` bytes is not what was recorded; then it is set aside.

        A manifest may lie about a size; what was recorded when the digest was checked does not.
        """
        recorded = self._catalog.find_size(digest)
        if recorded in (None, found):
            return False
        await self.quarantine(digest, f"it has {found} bytes, and had {recorded}")
        return True

    async def quarantine(self, digest: Digest, why: str) -> None:
        """Set a blob aside whose bytes are not what they were; the next pull fetches it again."""
        await self._evictor.quarantine(digest, why)

    async def keep_ready(self) -> None:
        """Evict down to the low mark when above the high one, so that few fills have to wait.

        Raises:
            StoreError, OSError: the disk or the catalog refused, or another process has been
                evicting for too long.
        """
        used = self._catalog.used()
        self._metrics.used_bytes.set(used)
        if used > self._storage.limit * HIGH:
            async with self._locks.hold(EVICTION):
                wanted = used - int(self._storage.limit * LOW)
                # Within the limit a large one stays, and with it all that is warmer.
                most = math.inf if used > self._storage.limit else wanted
                await self._evictor.delete(await self._evictor.plan(wanted, most))

    async def shrink(self, wanted: int) -> int:
        """Evict the coldest, as an operator asks, and return how many bytes that freed.

        Raises:
            StoreError, OSError: the disk or the catalog refused, or another process has been
                evicting for too long.
        """
        async with self._locks.hold(EVICTION):
            return await self._evictor.evict(wanted)

    async def finish_interrupted(self) -> None:
        """End what a crash interrupted, and count what it left."""
        await self._evictor.finish_interrupted()
        for digest in {*self._catalog.list_reservations(), *self._ingests.list_parts()}:
            await self.settle(digest)

    async def sweep(self) -> None:
        """Delete what crashes left beside parts that are gone."""
        await in_thread(self._ingests.sweep, STALE)


def measure_free(folder: Path) -> int:
    """Return how many bytes of the file system are free for us."""
    state = os.statvfs(folder)
    return state.f_bavail * state.f_frsize
