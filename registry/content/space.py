"""Space on the disk: reserved before a blob comes in, and freed by evicting blobs.

`storage.limit` is the most that blobs and partial files may take together; `storage.reserve` is
what stays free of the file system. If there is too little, `reserve` raises a StoreError: a pull is
then served straight from the upstream, and nothing is stored.
"""

import math
import os
from collections.abc import Callable
from pathlib import Path

from registry.catalog.usage import UsageCatalog
from registry.content.eviction import EVICTION, STALE, Evictor
from registry.errors import StoreError
from registry.metrics import Metrics
from registry.oci.digest import Digest
from registry.settings.model import StorageSettings
from registry.store.contract import BlobReader
from registry.store.file_locks import ExclusiveLocks
from registry.store.ingests import Ingests
from registry.tasks import in_thread

HIGH, LOW = 0.98, 0.95  # of the limit: the background process evicts above HIGH, down to LOW
RETRY_AFTER = 2.0  # seconds for which as much space is not looked for again, if there was none
EVICTION_WAIT = 10.0  # seconds that an ingest waits while another process evicts
ATTEMPTS = 3  # to evict and reserve, while other processes take the space that was freed


class Space:
    """Reserves space and frees it; each process has one over the same catalog."""

    def __init__(
        self,
        catalog: UsageCatalog,
        store: BlobReader,
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
        self._unavailable = (0, 0.0)  # so many bytes cannot be freed, until this time
        self._waiting: dict[Digest, int] = {}  # bytes for blobs that wait for the lock, or hold it

    async def reserve(self, digest: Digest, size: int) -> None:
        """Reserve `size` bytes in all for a blob; a second call replaces the first reservation.

        The caller is the writer of the blob. Nothing is evicted for a blob that would not fit then
        either.

        Raises:
            StoreError: there is too little space, and too little can be evicted; or another process
                has been evicting for too long.
        """
        missing = await self._try_to_reserve(digest, size)
        if missing <= 0:
            return
        is_unavailable = missing >= self._unavailable[0] and self._clock() < self._unavailable[1]
        if size > self._storage.limit or is_unavailable:
            raise await self._refuse(digest, size)
        self._waiting[digest] = size
        try:
            async with self._locks.hold(EVICTION, EVICTION_WAIT):
                is_reserved = await self._evict_and_reserve(digest, size)
        except StoreError:
            # Another process may have been evicting for long, and have freed enough for us.
            if await self._try_to_reserve(digest, size) > 0:
                raise
            return
        finally:
            del self._waiting[digest]
        if not is_reserved:
            raise await self._refuse(digest, size)

    async def _evict_and_reserve(self, digest: Digest, size: int) -> bool:
        """Reserve and evict by turns until the space is reserved; false if it cannot be freed."""
        # Reserve first, since others may have freed space while we waited for the lock; and several
        # times, since others may take what we have freed.
        for _ in range(ATTEMPTS):
            missing = await self._try_to_reserve(digest, size)
            if missing <= 0:
                return True
            # Also for those that wait in this process: to find what may go takes seconds in a large
            # catalog, and they do not wait long enough for each to do that in turn.
            others = sum(self._waiting.values()) - size
            freed = await self._evictor.free(missing, digest, others)
            if freed is None:
                self._unavailable = missing, self._clock() + RETRY_AFTER
            if not freed:
                break
        return False

    async def _refuse(self, digest: Digest, size: int) -> StoreError:
        await self._release(digest)
        return StoreError(
            str(self._folder),
            f"no space for {size} bytes within storage.limit and storage.reserve, and too little to"
            " evict; raise storage.limit, unpin images, or free disk space",
        )

    async def _try_to_reserve(self, digest: Digest, size: int) -> int:
        """Reserve, and return how many bytes have to be freed before that can be kept."""
        missing = await self._catalog.reserve(digest, size, self._storage.limit)
        return max(missing, self._find_disk_shortage(digest, size))

    def _find_disk_shortage(self, digest: Digest, size: int) -> int:
        """Return how many bytes the file system has too few for all that is reserved; 0 for none.

        Bytes that are reserved and not written yet will be written: they are not free.
        """
        free = measure_free(self._folder) - self._storage.reserve
        if free >= self._storage.limit:  # and no more than that can be reserved
            return 0
        reserved = self._catalog.count_reserved(digest) + size
        if reserved <= free:
            return 0
        # Only now, since each partial file has to be looked at.
        return max(0, reserved - self._ingests.measure_all() - free)

    async def release_reservation(self, digest: Digest) -> None:
        """Reserve no more for a blob than its partial file takes; record it if it is stored.

        Its writer has closed the file. If the blob has another writer since, that one does this.
        """
        with self._ingests.hold(digest) as is_free:
            if is_free:
                await self._release(digest)

    async def _release(self, digest: Digest) -> None:
        size = await self._store.stat(digest)
        if size is None:
            await self._catalog.release_reservation(digest, self._ingests.measure(digest))
            return
        self._ingests.delete_side_files(digest)
        await self.record(digest, size)
        if await self._store.stat(digest) is None:  # evicted just now
            await self._catalog.drop(digest)

    async def record(self, digest: Digest, size: int) -> None:
        """Record a blob that is in the store now; this uses up its reservation."""
        self._metrics.stored_bytes.inc(size)
        await self._catalog.record(digest, size, self._clock())

    async def check_size(self, digest: Digest, found: int) -> bool:
        """Whether a stored blob of `found` bytes has its recorded size; if not, quarantine it.

        True where no size is recorded. A manifest may state a wrong size; the recorded one was
        taken when the digest was checked. A blob that is quarantined, but whose file could not be
        moved before, is moved now.

        Raises:
            StoreError, OSError: the catalog or the disk refused.
        """
        recorded = self._catalog.find_size(digest)
        if recorded is None and digest in dict(self._catalog.list_quarantined()):
            await self.quarantine(digest, "its file is still in the store")
            return False
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
        """Evict down to `LOW` when above `HIGH`, so that few downloads have to wait.

        Raises:
            StoreError, OSError: the disk or the catalog refused, or another process has been
                evicting for too long.
        """
        used = self._catalog.used()
        self._metrics.used_bytes.set(used)
        if used > self._storage.limit * HIGH:
            async with self._locks.hold(EVICTION):
                wanted = used - int(self._storage.limit * LOW)
                # Within the limit a large blob stays, and so do blobs that were used later.
                most = math.inf if used > self._storage.limit else wanted
                await self._evictor.delete(await self._evictor.plan(wanted, most))

    async def shrink(self, wanted: int) -> int:
        """Evict the blobs not used for longest, as an operator asks; return the bytes freed.

        Raises:
            StoreError, OSError: the disk or the catalog refused, or another process has been
                evicting for too long.
        """
        async with self._locks.hold(EVICTION):
            return await self._evictor.evict(wanted)

    async def finish_interrupted(self) -> None:
        """End what a crash interrupted, and count the bytes that it left.

        Raises:
            StoreError, OSError: the disk or the catalog refused.
        """
        await self._evictor.finish_interrupted()
        for digest in {*self._catalog.list_reservations(), *self._ingests.list_digests()}:
            await self.release_reservation(digest)

    async def sweep(self) -> None:
        """Delete side files of partial files that are gone; crashes leave them."""
        await in_thread(self._ingests.sweep, STALE)


def measure_free(folder: Path) -> int:
    """Return how many bytes of the file system are free for this user."""
    state = os.statvfs(folder)
    return state.f_bavail * state.f_frsize
