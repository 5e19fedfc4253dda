"""What the files say and the catalog does not: it is an index, and they are the truth."""

import asyncio
from dataclasses import dataclass

import structlog

from registry.catalog.manifests import ManifestCatalog
from registry.catalog.rebuild import RebuildCatalog
from registry.content.eviction import Evictor
from registry.content.manifests import ManifestStore
from registry.content.pins import Pins
from registry.oci.digest import Digest
from registry.oci.names import Reference, Repository, Tag
from registry.store.contract import BlobStore
from registry.store.tags import TagFiles

BATCH = 1000  # blobs recorded in one transaction


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """How many names are known again; `lost` are those whose manifests are not on disk any more."""

    names: int
    lost: int


class Rebuild:
    """Makes the catalog know what is on disk; harmless where it does."""

    def __init__(
        self,
        references: TagFiles,
        store: BlobStore,
        intake: ManifestStore,
        *,
        manifests: ManifestCatalog,
        found: RebuildCatalog,
        evictor: Evictor,
        pins: Pins,
    ) -> None:
        self._references = references
        self._store = store
        self._intake = intake
        self._manifests = manifests
        self._found = found
        self._evictor = evictor
        self._pins = pins
        self._log = structlog.get_logger("registry.mirror")

    async def recover(self, now: float) -> None:
        """Make a lost catalog again.

        What upstreams said repositories have, and when images were pulled, is not on disk: the
        first is asked again, the second begins `now`.

        Raises:
            StoreError: the disk or the catalog refused.
        """
        self._log.warning("recovering the catalog from the files")
        pins = await self._pins.restore()  # first: what is pinned must not make room for others
        blobs = await self._recover_blobs(now)
        await self._found.record_quarantined(
            [each async for each in self._store.scan_quarantined()]
        )
        names = await self.adopt_names()
        wrong_sizes = await self._quarantine_wrong_sizes()
        self._log.warning(
            "catalog recovered",
            names=names.names,
            blobs=blobs - wrong_sizes,
            lost=names.lost,
            pins=pins,
            wrong_sizes=wrong_sizes,
        )

    async def _recover_blobs(self, now: float) -> int:
        count = 0
        batch: list[tuple[Digest, int]] = []
        async for found in self._store.scan():
            batch.append(found)
            if len(batch) == BATCH:
                await self._found.record_blobs(batch, now)
                count, batch = count + BATCH, []
        await self._found.record_blobs(batch, now)
        return count + len(batch)

    async def _quarantine_wrong_sizes(self) -> int:
        """Set aside what the disk has cut off: its size was recorded as it is, and so not doubted.

        What a manifest lies about goes too, and comes back with the next pull.
        """
        wrong_sizes = await self._found.list_wrong_sizes()
        for digest, size in wrong_sizes:
            await self._evictor.quarantine(digest, f"it has {size} bytes, and no manifest says so")
        return len(wrong_sizes)

    async def adopt_names(self, *, lull: float = 0.0) -> Rebuilt:
        """Record what names lead to, where the catalog does not know them.

        Whoever keeps or removes an image has the file in hand first: beside others, what is not
        known is looked at again after a `lull` in seconds.

        Raises:
            StoreError: the disk or the catalog refused.
        """
        names = lost = 0
        strangers = [
            each async for each in self._references.scan() if not self._is_known(each[0], each[1])
        ]
        if strangers:
            await asyncio.sleep(lull)
        for repository, reference, pointer in strangers:
            if self._is_known(repository, reference):
                continue
            if lull and await self._references.read(repository, reference) != pointer:
                continue
            manifest = await self._intake.recall(Digest.parse(pointer.digest), pointer.media_type)
            if manifest is None:
                lost += 1
                continue
            tag = reference if isinstance(reference, Tag) else None
            await self._manifests.record(
                repository,
                manifest,
                tag,
                pointer.seen,
                bundle=pointer.bundle,
                signer=pointer.signer,
            )
            names += 1
        return Rebuilt(names, lost)

    def _is_known(self, repository: Repository, reference: Reference) -> bool:
        if isinstance(reference, Tag):
            return self._manifests.find_tag(repository, reference) is not None
        return self._manifests.find_held(repository, reference) is not None
