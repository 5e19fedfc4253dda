"""Deleting blobs to free space or because no image needs them, and moving damaged ones away.

The catalog row is deleted first and the file second: after a crash there is no row without a file.
`finish_interrupted` then deletes the file.
"""

import math
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

from registry.catalog.eviction_order import NOTHING_RECENT, Recent, StoredBlobRecord
from registry.catalog.usage import UsageCatalog
from registry.content.damage import DamagedBlobs
from registry.logs import get_logger
from registry.metrics.process_metrics import Metrics
from registry.oci.digest import Digest
from registry.store.contract import ManagedStore
from registry.store.ingests import Ingests

STALE = 86_400.0  # seconds after which a partial file without a writer is deleted before any blob
EVICTION = "eviction"  # the lock that a process holds while it plans and carries out an eviction


class Evictor:
    """Deletes blobs that are not being read; each process may have an `Evictor`."""

    def __init__(
        self,
        catalog: UsageCatalog,
        store: ManagedStore,
        ingests: Ingests,
        damaged: DamagedBlobs,
        metrics: Metrics,
        *,
        keep_pulled: float,
        clock: Callable[[], float],
    ) -> None:
        """To make space, what was used in the last `keep_pulled` seconds is not deleted."""
        self._keep_pulled = keep_pulled
        self._clock = clock
        self._catalog = catalog
        self._store = store
        self._ingests = ingests
        self._damaged = damaged
        self._metrics = metrics
        self._log = get_logger("registry.content")

    @property
    def recent(self) -> Recent:
        """The times of use of blobs that stay now, because they may be part of a running pull."""
        now = self._clock()
        # Another server on the same data folder may have a clock that is a little ahead.
        return Recent(now - self._keep_pulled, now + self._keep_pulled)

    async def free(
        self,
        wanted: int,
        digest: Digest | None = None,
        others: int = 0,
        *,
        is_urgent: bool = False,
    ) -> int | None:
        """Free `wanted` bytes, and return how many were freed.

        If they are for the ingest of a blob, `digest` is the blob: its partial file stays. `others`
        is how many bytes other ingests are waiting for: they are freed too, as far as possible.

        The result is None if too few bytes can be freed: then nothing is deleted. It is less than
        `wanted` if clients are reading some of the blobs. Blobs that were used just now stay,
        unless it `is_urgent`.

        Quarantined blobs are deleted first, then partial files that were not written to for a day,
        then the least recently used blobs, and then other partial files without a writer.

        Raises:
            StoreError, OSError: the disk or the catalog refused.
        """
        recent = NOTHING_RECENT if is_urgent else self.recent
        coldest, evictable = await self._catalog.survey_evictable(wanted + others, recent)
        removable = evictable + await self._count_others(digest)
        if wanted > removable:
            return None
        wanted = min(wanted + others, removable)
        freed = sum(await self._empty_quarantine())
        freed += await self._delete_partials(digest, wanted - freed, STALE)
        freed += await self.delete(plan_eviction(coldest, wanted - freed))
        # More, in place of those that clients read.
        freed += sum(await self.evict(wanted - freed, recent))
        return freed + await self._delete_partials(digest, wanted - freed, 0.0)

    async def count_removable(self, digest: Digest) -> int:
        """Return how many bytes `free` can free at most for the ingest of a blob."""
        _, evictable = await self._catalog.survey_evictable(0, self.recent)
        return evictable + await self._count_others(digest)

    async def _count_others(self, digest: Digest | None) -> int:
        return self._count_quarantined() + await self._count_partials(digest)

    def _count_quarantined(self) -> int:
        return sum(size for _, size in self._catalog.list_quarantined())

    async def evict(self, wanted: int, recent: Recent = NOTHING_RECENT) -> list[int]:
        """Delete the least recently used blobs that are not being read; return their sizes.

        `recent` ones stay.
        """
        freed: list[int] = []
        tried: set[Digest] = set()
        while (left := wanted - sum(freed)) > 0:
            coldest = await self._catalog.list_coldest(left, tried, recent)
            victims = plan_eviction(coldest, left)
            if not victims:
                break
            tried.update(victim.digest for victim in victims)
            freed += await self._delete(victims)
        return freed

    async def shrink(self, wanted: int) -> list[int]:
        """Delete quarantined blobs, then the least recently used ones; return their sizes.

        Raises:
            StoreError, OSError: the disk or the catalog refused.
        """
        freed = await self._empty_quarantine() if wanted > 0 else []
        return freed + await self.evict(wanted - sum(freed))

    async def plan_shrink(self, wanted: int) -> tuple[list[int], list[StoredBlobRecord]]:
        """Return what `shrink` would delete: the sizes of quarantined blobs, and other blobs."""
        sizes = [size for _, size in self._catalog.list_quarantined()] if wanted > 0 else []
        return sizes, await self.plan(wanted - sum(sizes))

    async def plan(
        self, wanted: int, most: float = math.inf, recent: Recent = NOTHING_RECENT
    ) -> list[StoredBlobRecord]:
        """Return least recently used blobs of `wanted` bytes or more, but at most `most` bytes.

        `recent` ones stay.
        """
        return plan_eviction(await self._catalog.list_coldest(wanted, (), recent), wanted, most)

    async def delete(self, victims: Iterable[StoredBlobRecord]) -> int:
        """Delete blobs, and return how many bytes were freed.

        Blobs that are being read stay, and so do blobs that a pin keeps by now, or that were used
        after the time in their record.
        """
        return sum(await self._delete(victims))

    async def _delete(self, victims: Iterable[StoredBlobRecord]) -> list[int]:
        freed = []
        for victim in victims:
            with self._store.claim(victim.digest) as is_free:
                size = None
                if is_free:
                    size = await self._catalog.mark_deleting(victim.digest, victim.used)
                if size is not None:
                    freed.append(size)
                    await self._delete_marked(victim.digest)
        self._metrics.evicted_bytes.inc(sum(freed))
        if freed:
            self._log.info("blobs deleted", bytes=sum(freed))
        return freed

    async def quarantine(self, digest: Digest, why: str) -> None:
        """Move a damaged blob into quarantine, even while it is being read.

        The next pull downloads it again.

        Raises:
            StoreError, OSError: the disk or the catalog refused. The blob counts as missing all the
                same: for all processes, or only for this one if the catalog refused.
        """
        self._log.error("blob quarantined", blob=str(digest), why=why)
        size = await self._store.stat(digest)
        if size is not None:
            self._metrics.quarantined.inc()
            self._damaged.add(digest)
            # An earlier damaged file of this blob would look as if this one had been moved.
            if await self._store.is_quarantined(digest):
                await self._store.delete_quarantined(digest)
            await self._catalog.quarantine(digest, size)
            self._damaged.discard(digest)
            await self._store.quarantine(digest)

    def note_new(self, digest: Digest) -> None:
        """Note that a verified file has taken the place of a blob, which may have been damaged."""
        self._damaged.discard(digest)

    async def _empty_quarantine(self) -> list[int]:
        """Delete all quarantined blobs, and return their sizes."""
        freed = []
        for digest, size in self._catalog.list_quarantined():
            await self._store.delete_quarantined(digest)
            await self._catalog.release(digest)
            freed.append(size)
        return freed

    async def _count_partials(self, ingested: Digest | None) -> int:
        """Return how many bytes `_delete_partials` can free at most."""
        count = 0
        for digest, size in self._catalog.list_reservations().items():
            if digest != ingested:
                async with self._hold_partial(digest) as is_free:
                    count += size if is_free else 0
        return count

    async def _delete_partials(self, ingested: Digest | None, wanted: int, age: float) -> int:
        freed = 0
        for digest in self._catalog.list_reservations():
            if freed >= wanted:
                break
            if digest == ingested or self._ingests.idle(digest) < age:
                continue
            async with self._hold_partial(digest) as is_free:
                if is_free:
                    # In this order: after the file is deleted, another process may reserve space
                    # for it.
                    freed += await self._catalog.release_reservation(digest, 0)
                    self._ingests.delete(digest)
        return freed

    @asynccontextmanager
    async def _hold_partial(self, digest: Digest) -> AsyncIterator[bool]:
        """Yield whether a blob has no writer and is not in the store, waiting to be recorded."""
        with self._ingests.hold(digest) as is_free:
            stored = self._ingests.find_adopted(digest)
            yield is_free and await self._store.stat(stored) is None

    async def _delete_marked(self, digest: Digest) -> None:
        await self._store.delete(digest)
        await self._catalog.mark_deleted(digest)

    async def finish_interrupted(self) -> None:
        """End deletions and moves into quarantine that a crash interrupted.

        Raises:
            StoreError, OSError: the disk or the catalog refused.
        """
        for digest in self._catalog.list_deleting():
            with self._store.claim(digest) as is_free:
                if is_free and not self._is_new(digest):
                    if not await self._catalog.restore_pinned(digest):  # a pin may keep it by now
                        await self._delete_marked(digest)
                elif is_free or await self._store.stat(digest) is None:
                    await self._catalog.mark_deleted(digest)
        for digest, _ in self._catalog.list_quarantined():
            with self._store.claim(digest) as is_free:
                if is_free and not self._is_new(digest):
                    await self._store.quarantine(digest)
                elif await self._was_deleted(digest):
                    await self._catalog.release(digest)

    async def _was_deleted(self, digest: Digest) -> bool:
        """Whether the file of a quarantined blob does not exist any more, but its row does.

        This looks at the store first and at the quarantine second, because another process may be
        moving the file. A file in the store does not count if the blob is recorded: then a later
        download has stored it.
        """
        is_recorded = self._catalog.find_size(digest) is not None
        if not is_recorded and await self._store.stat(digest) is not None:
            return False  # the file still has to be moved, or is being downloaded
        return not await self._store.is_quarantined(digest)

    def _is_new(self, digest: Digest) -> bool:
        """Whether the file of a claimed blob is from a download after its deletion was begun.

        Call this only after the blob was claimed: a writer holds its file until it is recorded.
        """
        return self._catalog.is_reserved(digest) or self._catalog.find_size(digest) is not None


def plan_eviction(
    coldest_first: Iterable[StoredBlobRecord], wanted: int, most: float = math.inf
) -> list[StoredBlobRecord]:
    """Return which blobs to delete, in order, to free `wanted` bytes, or all if they have fewer.

    If a blob would make this more than `most` bytes, it stays, and so do all blobs after it.
    """
    victims: list[StoredBlobRecord] = []
    for blob in coldest_first:
        if wanted <= 0 or blob.size > most:
            break
        if blob.size:
            victims.append(blob)
            wanted -= blob.size
            most -= blob.size
    return victims
