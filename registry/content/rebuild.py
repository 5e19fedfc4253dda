"""Making a lost catalog again from the files."""

import asyncio
from dataclasses import dataclass

from registry.catalog.manifests import ManifestCatalog
from registry.catalog.rebuild import RebuildCatalog
from registry.catalog.tag_hold import NO_HOLD, TagHold
from registry.content.eviction import Evictor
from registry.content.manifests import ManifestStore
from registry.content.pins import Pins
from registry.content.tag_history import describe_rollback
from registry.errors import StoreError
from registry.logs import get_logger
from registry.oci.digest import Digest
from registry.oci.names import Reference, Repository, Tag
from registry.store.contract import ManagedStore
from registry.store.tags import TagFiles

BATCH = 1000  # blobs recorded in one transaction


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """The number of names that were recorded again, and of `lost` names without a manifest."""

    names: int
    lost: int


class Rebuild:
    """Records in the catalog what is on disk; it may be recorded already."""

    def __init__(
        self,
        tags: TagFiles,
        store: ManagedStore,
        manifest_store: ManifestStore,
        *,
        manifests: ManifestCatalog,
        catalog: RebuildCatalog,
        evictor: Evictor,
        pins: Pins,
    ) -> None:
        self._tags = tags
        self._store = store
        self._manifest_store = manifest_store
        self._manifests = manifests
        self._catalog = catalog
        self._evictor = evictor
        self._pins = pins
        self._log = get_logger("registry.content")

    async def recover(self, now: float) -> None:
        """Make a lost catalog again.

        Three facts are not on disk: for which blobs an upstream has confirmed that a repository has
        them, which registry has delivered a blob, and when images were pulled. Upstreams are asked
        again, blobs count as delivered by all registries whose images refer to them, and as used
        at `now`.

        Raises:
            StoreError: the disk or the catalog refused.
        """
        self._log.warning("rebuilding the catalog from the files")
        pins = await self._pins.restore()  # first, so that pinned blobs are never evicted
        blobs = await self._record_blobs(now)
        await self._catalog.record_quarantined(
            [each async for each in self._store.scan_quarantined()]
        )
        names = await self.adopt_names(with_blobs=True)
        wrong_sizes = await self._quarantine_wrong_sizes()
        self._log.warning(
            "catalog rebuilt",
            names=names.names,
            blobs=blobs - wrong_sizes,
            lost=names.lost,
            pins=pins,
            wrong_sizes=wrong_sizes,
        )

    async def _record_blobs(self, now: float) -> int:
        count = 0
        batch: list[tuple[Digest, int]] = []
        async for found in self._store.scan():
            batch.append(found)
            if len(batch) == BATCH:
                await self._catalog.record_blobs(batch, now)
                count, batch = count + BATCH, []
        await self._catalog.record_blobs(batch, now)
        return count + len(batch)

    async def _quarantine_wrong_sizes(self) -> int:
        """Move blobs into quarantine whose size differs from the size in every manifest.

        Such a file may have been cut by a crash. The catalog cannot show this, because it has just
        recorded the size on disk. If the manifest is wrong, the next pull downloads the blob again.
        """
        wrong_sizes = await self._catalog.list_wrong_sizes()
        for digest, size in wrong_sizes:
            await self._evictor.quarantine(
                digest, f"it has {size} bytes, and no manifest states that size"
            )
        return len(wrong_sizes)

    async def adopt_names(self, *, wait: float = 0.0, with_blobs: bool = False) -> Rebuilt:
        """Record the names that are on disk and not in the catalog, and what they lead to.

        A process that records or removes an image writes the file under `tags/` first and the
        catalog row second. If other processes are running, a name without a row is therefore
        looked up again after `wait` seconds. For `with_blobs` see `ManifestCatalog.record`.

        Raises:
            StoreError: the disk or the catalog refused.
        """
        names = lost = 0
        unknown = [each async for each in self._tags.scan() if not self._is_known(each[0], each[1])]
        if unknown:
            await asyncio.sleep(wait)
        for repository, reference, pointer in unknown:
            if self._is_known(repository, reference):
                continue
            if wait and await self._tags.read(repository, reference) != pointer:
                continue
            manifest = await self._manifest_store.recall(
                Digest.parse(pointer.digest), pointer.media_type
            )
            if manifest is None:
                lost += 1
                continue
            tag = reference if isinstance(reference, Tag) else None
            hold, warning = await self._find_hold(repository, tag)
            await self._manifests.record(
                repository,
                manifest,
                tag,
                pointer.seen,
                bundle=pointer.bundle,
                signer=pointer.signer,
                warning=warning,
                hold=hold,
                with_blobs=with_blobs,
            )
            names += 1
        return Rebuilt(names, lost)

    async def _find_hold(self, repository: Repository, tag: Tag | None) -> tuple[TagHold, str]:
        """Return why a tag does not follow its upstream, and what clients are told about that.

        How long an image has to be known is not in the files: it is decided at the next request.
        """
        if tag is None:
            return NO_HOLD, ""
        try:
            known = await self._manifest_store.histories.read(repository, tag)
        except StoreError as error:  # a single file that cannot be read stops no start
            self._log.error("tag history not read", image=f"{repository}:{tag}", why=str(error))
            return NO_HOLD, ""
        served, latest = str(known.served or ""), known.history.latest
        if served and known.history.rolled_back_to == served:
            return TagHold(is_rolled_back=True), describe_rollback(known.history)
        is_latest = latest is None or latest.digest == served
        return (NO_HOLD if is_latest else TagHold(due=1.0)), ""

    def _is_known(self, repository: Repository, reference: Reference) -> bool:
        if isinstance(reference, Tag):
            return self._manifests.find_tag(repository, reference) is not None
        return self._manifests.find_held(repository, reference) is not None
