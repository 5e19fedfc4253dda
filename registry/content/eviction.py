"""Taking blobs away: to make room, because nothing needs them, or because they have rotted.

The row goes first and the file second, so that whatever a crash leaves, no row promises bytes that
are not there; `finish_interrupted` ends what a crash has interrupted.
"""

import math
from collections.abc import Iterable

import structlog

from registry.catalog.usage import StoredBlobRecord, UsageCatalog
from registry.content.eviction_plan import plan_eviction
from registry.metrics import Metrics
from registry.oci.digest import Digest
from registry.store.contract import BlobStore
from registry.store.ingests import Ingests

STALE = 86_400.0  # seconds after which a part that nobody writes goes before any blob
EVICTION = "eviction"  # the lock of whoever plans one and carries it out


class Evictor:
    """Deletes what it is told to, unless somebody reads it; any process may have one."""

    def __init__(
        self, catalog: UsageCatalog, store: BlobStore, ingests: Ingests, metrics: Metrics
    ) -> None:
        self._catalog = catalog
        self._store = store
        self._ingests = ingests
        self._metrics = metrics
        self._log = structlog.get_logger("registry.mirror")

    async def free(self, wanted: int, filling: Digest) -> int | None:
        """Free `wanted` bytes for a fill, and return how many that made.

        None means that there is too little to free, and nothing was; fewer bytes than wanted, that
        somebody reads what might go.

        What is quarantined goes first, then parts that nobody has written for long, the coldest
        blobs, and other parts that nobody writes.

        Raises:
            StoreError, OSError: the disk or the catalog refused.
        """
        if wanted > await self._count_removable(filling):
            return None
        freed = await self._empty_quarantine()
        for age in (STALE, 0.0):
            if freed < wanted:
                freed += await self._drop_parts(filling, wanted - freed, age)
            freed += await self.evict(wanted - freed)
        return freed

    async def _count_removable(self, filling: Digest) -> int:
        aside = sum(size for _, size in self._catalog.list_quarantined())
        promised = self._catalog.count_reserved(filling)
        return aside + promised + await self._catalog.count_evictable()

    async def evict(self, wanted: int) -> int:
        """Delete the coldest blobs that nobody reads, and return how many bytes that freed."""
        freed = 0
        tried: set[Digest] = set()
        while freed < wanted:
            coldest = await self._catalog.list_coldest(wanted - freed, tried)
            victims = plan_eviction(coldest, wanted - freed)
            if not victims:
                break
            tried.update(victim.digest for victim in victims)
            freed += await self.delete(victims)
        return freed

    async def plan(self, wanted: int, most: float = math.inf) -> list[StoredBlobRecord]:
        """Return the coldest blobs that have `wanted` bytes, but not more than `most`."""
        return plan_eviction(await self._catalog.list_coldest(wanted), wanted, most)

    async def delete(self, victims: Iterable[StoredBlobRecord]) -> int:
        """Delete blobs, and return how many bytes that freed.

        Those stay that somebody reads, and those that a pin keeps, whenever it was put.
        """
        freed = 0
        for victim in victims:
            with self._store.claim(victim.digest) as is_free:
                size = await self._catalog.mark_deleting(victim.digest) if is_free else None
                if size is not None:
                    freed += size
                    await self._delete_marked(victim.digest)
        self._metrics.evicted_bytes.inc(freed)
        if freed:
            self._log.info("evicted", bytes=freed)
        return freed

    async def quarantine(self, digest: Digest, why: str) -> None:
        """Set a blob aside whose bytes have changed, whoever reads it: it is fetched again.

        Raises:
            StoreError, OSError: the disk or the catalog refused.
        """
        self._log.error("blob quarantined", blob=str(digest), why=why)
        size = await self._store.stat(digest)
        if size is not None:
            self._metrics.quarantined.inc()
            await self._catalog.quarantine(digest, size)
            await self._store.quarantine(digest)

    async def _empty_quarantine(self) -> int:
        freed = 0
        for digest, size in self._catalog.list_quarantined():
            await self._store.delete_quarantined(digest)
            await self._catalog.release(digest)
            freed += size
        return freed

    async def _drop_parts(self, filling: Digest, wanted: int, age: float) -> int:
        freed = 0
        for digest in self._catalog.list_reservations():
            if freed >= wanted:
                break
            if digest == filling or self._ingests.idle(digest) < age:
                continue
            with self._ingests.hold(digest) as is_left:
                if is_left and await self._store.stat(digest) is None:
                    # In this order: without the part another could be promised room for it.
                    freed += await self._catalog.release_reservation(digest, 0)
                    self._ingests.drop(digest)
        return freed

    async def _delete_marked(self, digest: Digest) -> None:
        await self._store.delete(digest)
        await self._catalog.mark_deleted(digest)

    async def finish_interrupted(self) -> None:
        """End deletions that a crash interrupted.

        Raises:
            StoreError, OSError: the disk or the catalog refused.
        """
        for digest in self._catalog.list_deleting():
            with self._store.claim(digest) as is_free:
                if is_free and not self._is_new(digest):
                    if not await self._catalog.restore_pinned(
                        digest
                    ):  # it may have been pinned since
                        await self._delete_marked(digest)
                elif is_free or await self._store.stat(digest) is None:
                    await self._catalog.mark_deleted(digest)
        for digest, _ in self._catalog.list_quarantined():
            with self._store.claim(digest) as is_free:
                if is_free and not self._is_new(digest):
                    await self._store.quarantine(digest)

    def _is_new(self, digest: Digest) -> bool:
        """Whether a claimed file is another one than that which was to go: fetched again since.

        Asked only then, as its writer lets go of it when it has been recorded.
        """
        return self._catalog.is_reserved(digest) or self._catalog.find_size(digest) is not None
