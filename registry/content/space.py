"""Space on the disk: it is reserved before a blob is written, and freed by evicting blobs.

`storage.limit` is how many bytes blobs and partial files may take together; `storage.reserve` is
how many bytes of the file system stay free. If there is too little space, `reserve` raises a
StoreError: the pull is then served from the upstream, and nothing is stored.
"""

import math
from collections.abc import Callable
from pathlib import Path

from registry.catalog.usage import UsageCatalog
from registry.content.eviction import EVICTION, STALE, Evictor
from registry.content.free_space import FreeSpace
from registry.content.shortage import explain_shortage
from registry.errors import StoreError, StoreFull
from registry.logs import get_logger
from registry.metrics.process_metrics import Metrics
from registry.oci.digest import Digest
from registry.settings.model import StorageSettings
from registry.settings.values import format_bytes
from registry.store.contract import BlobReader
from registry.store.file_locks import ExclusiveLocks
from registry.store.ingests import Ingests
from registry.tasks import in_thread

HIGH, LOW = 0.98, 0.95  # of the limit: the background process evicts above HIGH, down to LOW
RESTORE_AFTER = 60.0  # seconds without another attempt to restore the reserve, after one has failed
RETRY_AFTER = 2.0  # seconds without another attempt to free as many bytes, after one has failed
EVICTION_WAIT = 10.0  # seconds that an ingest waits while another process evicts
LEAST_FREE = 1024 * 1024  # bytes that stay free even without a reserve, for the catalog
ATTEMPTS = 3  # tries to evict and reserve, if other processes take the freed space


class Space:
    """Reserves and frees space; each process has a `Space`, and all use the same catalog."""

    def __init__(
        self,
        catalog: UsageCatalog,
        store: BlobReader,
        ingests: Ingests,
        evictor: Evictor,
        locks: ExclusiveLocks,
        *,
        free_space: FreeSpace,
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
        self._free_space = free_space
        self._folder = folder
        self._storage = storage
        self._metrics = metrics
        self._clock = clock
        self._unavailable = (0, -math.inf)  # a number of bytes that could not be freed, and when
        self._short_since = -math.inf  # when the reserve could last not be restored
        self._log = get_logger("registry.content")
        self._waiting: dict[Digest, int] = {}  # bytes of ingests that wait for the lock or hold it

    async def check(self, digest: Digest, size: int) -> None:
        """Refuse a blob of `size` bytes that cannot fit, whatever is evicted.

        Nothing is reserved or evicted: the size may be wrong.

        Raises:
            StoreFull: there is too little space, and too little can be evicted.
        """
        limit = self._storage.limit
        shortage = await self._free_space.find_shortage(digest, size, limit)
        former = self._catalog.list_reservations().get(digest, 0)
        missing = max(self._catalog.used() - former + size - limit, shortage)
        if missing > 0 and (
            size > limit
            or self._is_unavailable(missing)
            or await self._evictor.count_removable(digest) < missing
        ):
            raise await self._refuse(digest, size)

    def _is_unavailable(self, missing: int) -> bool:
        return missing >= self._unavailable[0] and self._is_recent(
            self._unavailable[1], RETRY_AFTER
        )

    def _is_recent(self, moment: float, seconds: float) -> bool:
        # If the clock is set back, a moment of before is not recent.
        return abs(self._clock() - moment) < seconds

    async def reserve(self, digest: Digest, size: int) -> None:
        """Reserve `size` bytes for the blob; this replaces an earlier reservation of it.

        The caller is the writer of the blob. If evicting blobs cannot free enough space, nothing
        is evicted.

        Raises:
            StoreFull: there is too little space, and too little can be evicted.
            StoreError: another process has been evicting for too long.
        """
        missing = await self._try_to_reserve(digest, size)
        if missing <= 0:
            return
        if size > self._storage.limit or self._is_unavailable(missing):
            raise await self._refuse(digest, size)
        self._waiting[digest] = size
        try:
            async with self._locks.hold(EVICTION, EVICTION_WAIT):
                is_reserved = await self._evict_and_reserve(digest, size)
        except StoreError:
            # The process that evicted for so long may have freed enough for this blob.
            if await self._try_to_reserve(digest, size) > 0:
                raise
            return
        finally:
            del self._waiting[digest]
        if not is_reserved:
            raise await self._refuse(digest, size)

    async def reserve_free(self, digest: Digest, size: int) -> bool:
        """Reserve as `reserve` if nothing has to be evicted; see `SpaceAccount.reserve_free`."""
        return await self._try_to_reserve(digest, size) <= 0

    async def _evict_and_reserve(self, digest: Digest, size: int) -> bool:
        """Reserve and evict in turn until the space is reserved; false if it cannot be freed."""
        # Reserve first, since another process may have freed space during the wait for the lock.
        # Try several times, since other processes may take the space that this one frees.
        for _ in range(ATTEMPTS):
            missing = await self._try_to_reserve(digest, size)
            if missing <= 0:
                return True
            # Also for those that wait in this process: to find what may go takes seconds in a large
            # catalog, and they do not wait long enough for each to do that in turn.
            others = sum(self._waiting.values()) - size
            freed = await self._evictor.free(missing, digest, others)
            if freed is None:
                self._unavailable = missing, self._clock()
            if not freed:
                break
        return False

    async def _refuse(self, digest: Digest, size: int) -> StoreFull:
        await self._release(digest)
        limit = self._storage.limit
        why = explain_shortage(
            size,
            is_by_limit=self._catalog.used() + size > limit,
            is_by_disk=await self._free_space.find_shortage(digest, size, limit) > 0,
            limit=limit,
            free=self._free_space.measure(),
            reserve=self._storage.reserve,
        )
        return StoreFull(str(self._folder), f"no space for {format_bytes(size)}: {why}")

    async def _try_to_reserve(self, digest: Digest, size: int) -> int:
        """Try to reserve, and return how many bytes have to be freed first; 0 if none have to."""
        missing = await self._catalog.reserve(digest, size, self._storage.limit)
        limit = self._storage.limit
        return max(missing, await self._free_space.find_shortage(digest, size, limit))

    async def release_reservation(self, digest: Digest) -> None:
        """Reduce the reservation of a blob to the size of its partial file; record it if stored.

        The writer has closed the file. If the blob already has a new writer, nothing is done: the
        new writer does this at its end.
        """
        with self._ingests.hold(digest) as is_free:
            if is_free:
                await self._release(digest)

    async def _release(self, part: Digest) -> None:
        digest = self._ingests.find_adopted(part)
        size = await self._store.stat(digest)
        if size is None:
            await self._catalog.release_reservation(part, self._ingests.measure(part))
            return
        if self._catalog.find_size(digest) is None:  # a crash left it without a row
            self._metrics.stored_bytes.inc(size)
        await self._catalog.record(digest, size, self._clock(), part)
        self._ingests.delete_side_files(part)  # only now: they say which blob it is
        if await self._store.stat(digest) is None:  # evicted just now
            await self._catalog.drop(digest)

    async def record(
        self, digest: Digest, size: int, part: Digest | None = None, *, registry: str = ""
    ) -> None:
        """Record a blob that is now in the store, as `SpaceAccount.record` says."""
        self._evictor.note_new(digest)
        self._metrics.stored_bytes.inc(size)
        await self._catalog.record(digest, size, self._clock(), part, registry=registry)

    async def check_size(self, digest: Digest, found: int) -> bool:
        """Return whether a stored blob of `found` bytes has its recorded size, or quarantine it.

        Returns true if no size is recorded. The recorded size is the size at the check of the
        digest; the size in a manifest may be wrong.

        Raises:
            StoreError, OSError: the catalog or the disk refused.
        """
        recorded = self._catalog.find_size(digest)
        if recorded in (None, found):
            return True
        await self.quarantine(digest, f"it has {found} bytes, and had {recorded}")
        return False

    async def quarantine(self, digest: Digest, why: str) -> None:
        """Move a damaged blob into quarantine; the next pull downloads it again.

        Raises:
            StoreError, OSError: the catalog or the disk refused.
        """
        await self._evictor.quarantine(digest, why)

    async def keep_ready(self) -> None:
        """Evict before downloads need it, and keep `storage.reserve` bytes of the disk free.

        If more than `HIGH` of the limit is used, this evicts down to `LOW`. Then it restores the
        reserve, of which another program may have taken some, and the catalog's spare bytes.

        Raises:
            StoreError, OSError: the disk or the catalog refused, or another process has been
                evicting for too long.
        """
        used = self._catalog.used()
        self._metrics.used_bytes.set(used)
        if used > self._storage.limit * HIGH:
            async with self._locks.hold(EVICTION):
                wanted = used - int(self._storage.limit * LOW)
                # If the limit is kept, evict at most `wanted` bytes, even if a large blob then
                # stays.
                most = math.inf if used > self._storage.limit else wanted
                recent = self._evictor.recent
                await self._evictor.delete(await self._evictor.plan(wanted, most, recent))
        await self._restore_reserve()
        self._catalog.spare.restore()

    async def _restore_reserve(self) -> None:
        """Evict until the reserve is free; if it cannot be, until the catalog can be written.

        Nothing is evicted where that would not be enough. What has failed is tried again only after
        `RESTORE_AFTER` seconds, since to find what may go takes long in a large catalog. If the
        disk is so full that the catalog cannot be written, images may go that were pulled just now.
        """
        reserve = max(self._storage.reserve, LEAST_FREE)
        if self._find_missing(reserve) <= 0:
            self._short_since = -math.inf
            return
        is_urgent = self._find_missing(LEAST_FREE) > 0
        is_due = not self._is_recent(self._short_since, RESTORE_AFTER)
        if is_due and not await self._evict_for(reserve, is_urgent=is_urgent):
            if self._short_since == -math.inf:
                free = self._free_space.measure()
                self._log.error("reserve not free", reserve=reserve, free=free)
            self._short_since = self._clock()
        if self._find_missing(LEAST_FREE) > 0:
            await self._evict_for(LEAST_FREE, is_urgent=True)

    async def _evict_for(self, reserve: int, *, is_urgent: bool) -> bool:
        async with self._locks.hold(EVICTION):
            missing = self._find_missing(reserve)
            if missing <= 0:
                return True
            return await self._evictor.free(missing, is_urgent=is_urgent) is not None

    def _find_missing(self, reserve: int) -> int:
        """Return how many bytes have to be freed so that `reserve` bytes are free."""
        return reserve + self._catalog.spare.missing - self._free_space.measure()

    async def shrink(self, wanted: int) -> list[int]:
        """Delete quarantined blobs, then the least recently used ones; return their sizes.

        Raises:
            StoreError, OSError: the disk or the catalog refused, or another process has been
                evicting for too long.
        """
        async with self._locks.hold(EVICTION):
            return await self._evictor.shrink(wanted)

    async def finish_interrupted(self) -> None:
        """Complete deletions that a crash interrupted, and count the bytes of partial files again.

        Raises:
            StoreError, OSError: the disk or the catalog refused.
        """
        await self._evictor.finish_interrupted()
        for digest in {*self._catalog.list_reservations(), *self._ingests.list_digests()}:
            await self.release_reservation(digest)

    async def sweep(self) -> None:
        """Delete side files without a partial file, such as information files that a crash left."""
        await in_thread(self._ingests.sweep, STALE)
