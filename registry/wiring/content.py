"""The services over a data folder; each is built from other services when it is first used."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from registry.catalog.audits import AuditCatalog
from registry.catalog.damage import DamageCatalog
from registry.catalog.database import Database
from registry.catalog.deletion import DeletionCatalog
from registry.catalog.endpoints import EndpointCatalog
from registry.catalog.image_graph import ImageGraphCatalog
from registry.catalog.last_used import LastUsedCatalog
from registry.catalog.manifests import ManifestCatalog
from registry.catalog.prefetch_runs import PrefetchCatalog
from registry.catalog.preparation import is_missing
from registry.catalog.pulls import PullCatalog
from registry.catalog.rebuild import RebuildCatalog
from registry.catalog.usage import UsageCatalog
from registry.content.audit import Audit
from registry.content.backup import Backup, DataHandles
from registry.content.content import Content
from registry.content.damage import DamagedBlobs, UndamagedBlobs
from registry.content.deletion import ImageDeletion
from registry.content.eviction import Evictor
from registry.content.expiry import Expiry
from registry.content.free_space import FreeSpace
from registry.content.images import Images
from registry.content.maintenance import Maintenance
from registry.content.manifests import ManifestStore
from registry.content.pins import Pins
from registry.content.pull_history import PullHistory
from registry.content.rebuild import Rebuild
from registry.content.space import Space
from registry.content.tag_history import TagHistories
from registry.content.usage import UsageMeter
from registry.errors import CatalogLost, SettingsError, StoreError, StoreTooNew
from registry.metrics.process_metrics import Metrics
from registry.settings.model import Settings
from registry.store.data_folder import DataFolder, find_folder
from registry.store.file_locks import ExclusiveLocks
from registry.store.ingests import Ingests
from registry.store.local import DiskStore
from registry.store.tags import TagFiles
from registry.wiring.data_folder import open_database
from registry.wiring.data_folder_checks import METRICS, check_data_folder, refuse_migration
from registry.wiring.monitoring import MonitoringServices
from registry.wiring.upstream_rules import build_tag_delays

# Imported only where they are used: a server without them starts faster, and needs less memory.
if TYPE_CHECKING:
    from registry.bundle.load.importer import Importer
    from registry.bundle.write.plan import Planner


class ContentServices:
    """The services over one data folder; none of them asks an upstream.

    Each process needs other services, so each is built only when it is first used.
    """

    def __init__(
        self, settings: Settings, handles: DataHandles, metrics: Metrics, database: Database
    ) -> None:
        self._settings = settings
        self._handles = handles
        self._metrics = metrics
        self._database = database
        self._clock = time.time

    @cached_property
    def content(self) -> Content:
        """Stored blobs, partial files and ingests."""
        handles = self._handles
        blobs = UndamagedBlobs(handles.blobs, self._damaged)
        return Content(blobs, handles.store, handles.ingests, self.space)

    @cached_property
    def manifests(self) -> ManifestStore:
        """Stores manifests, and records which manifest a tag leads to."""
        histories = TagHistories(self._handles.tags, self.locks)
        return ManifestStore(self.content, self._handles.tags, self._manifest_catalog, histories)

    @cached_property
    def space(self) -> Space:
        """Reserves and frees space on the disk."""
        return Space(
            self._usage_catalog,
            self._stored,
            self._handles.ingests,
            self.evictor,
            self.locks,
            free_space=self._free_space,
            folder=self._handles.folder.root,
            storage=self._settings.storage,
            metrics=self._metrics,
            clock=self._clock,
        )

    @cached_property
    def evictor(self) -> Evictor:
        """Deletes and quarantines blobs."""
        store, ingests = self._handles.store, self._handles.ingests
        return Evictor(
            self._usage_catalog,
            store,
            ingests,
            self._damaged,
            self._metrics,
            keep_pulled=self._settings.storage.keep_pulled,
            clock=self._clock,
        )

    @cached_property
    def images(self) -> Images:
        """Finds, describes and pins stored images."""
        return Images(self._graph_catalog, self._pins, self.content)

    @cached_property
    def deletion(self) -> ImageDeletion:
        """Removes images."""
        catalog = DeletionCatalog(self._database)
        tags, delays = self._handles.tags, build_tag_delays(self._settings)
        return ImageDeletion(catalog, tags, self.evictor, self.locks, delays.is_delayed)

    @cached_property
    def expiry(self) -> Expiry:
        """Removes images that were not pulled for a long time."""
        keep_for = self._settings.keep_for
        return Expiry(LastUsedCatalog(self._database), self.deletion, keep_for, self._clock)

    @cached_property
    def pull_history(self) -> PullHistory:
        """Lists which images were pulled, and when."""
        return PullHistory(PullCatalog(self._database), self._clock)

    @cached_property
    def endpoints(self) -> EndpointCatalog:
        """What was measured of the endpoints of upstreams."""
        return EndpointCatalog(self._database)

    @cached_property
    def usage(self) -> UsageMeter:
        """Measures how full the store is."""
        return UsageMeter(
            self._usage_catalog,
            self._graph_catalog,
            self._audit_catalog,
            free_space=self._free_space,
            ingests=self._handles.ingests,
            metrics=self._handles.folder.root / METRICS,
            storage=self._settings.storage,
        )

    @cached_property
    def audit(self) -> Audit:
        """Checks all stored blobs."""
        usage, store = self._usage_catalog, self._handles.store
        return Audit(self._audit_catalog, usage, store, self.space, self.rebuild, clock=self._clock)

    @cached_property
    def rebuild(self) -> Rebuild:
        """Makes a lost catalog again."""
        return Rebuild(
            self._handles.tags,
            self._handles.store,
            self.manifests,
            manifests=self._manifest_catalog,
            catalog=RebuildCatalog(self._database),
            evictor=self.evictor,
            pins=self._pins,
        )

    @cached_property
    def maintenance(self) -> Maintenance:
        """The work of the background process at intervals."""
        rate = self._settings.storage.audit_rate
        return Maintenance(self.space, self.expiry, self.pull_history, self.audit, rate)

    @cached_property
    def monitoring(self) -> MonitoringServices:
        """What happened on this data folder, and what is the case now."""
        return MonitoringServices(self._handles.folder, self._database)

    @cached_property
    def prefetch_runs(self) -> PrefetchCatalog:
        """When each prefetch last ran."""
        return PrefetchCatalog(self._database)

    @cached_property
    def backup(self) -> Backup:
        """Copies the data folder to a backup."""
        return Backup(self._database, self._handles)

    @cached_property
    def planner(self) -> "Planner":
        """Plans bundles of stored images."""
        from registry.bundle.write.plan import Planner  # noqa: PLC0415

        return Planner(self.manifests, self.content, is_offline=self._settings.offline)

    @cached_property
    def importer(self) -> "Importer":
        """Imports bundles."""
        from registry.bundle.load.import_log import ImportLog  # noqa: PLC0415
        from registry.bundle.load.importer import Importer  # noqa: PLC0415

        log = ImportLog(self._handles.folder.imports, self.locks, self._clock)
        return Importer(self.content, self.manifests, log, self._clock)

    @cached_property
    def _free_space(self) -> FreeSpace:
        return FreeSpace(
            self._usage_catalog,
            self._stored,
            self._handles.ingests,
            self._handles.folder.root,
            self._settings.storage.reserve,
        )

    @cached_property
    def _pins(self) -> Pins:
        return Pins(self._database, self._handles.folder.pins, self.locks, self._clock)

    @cached_property
    def locks(self) -> ExclusiveLocks:
        """Locks between the processes on the data folder."""
        return ExclusiveLocks(self._handles.folder.locks)

    @cached_property
    def _damaged(self) -> DamagedBlobs:
        return DamagedBlobs(DamageCatalog(self._database), self._handles.store)

    @cached_property
    def _stored(self) -> UndamagedBlobs:
        return UndamagedBlobs(self._handles.store, self._damaged)

    @cached_property
    def _manifest_catalog(self) -> ManifestCatalog:
        return ManifestCatalog(self._database)

    @cached_property
    def _usage_catalog(self) -> UsageCatalog:
        return UsageCatalog(self._database)

    @cached_property
    def _graph_catalog(self) -> ImageGraphCatalog:
        return ImageGraphCatalog(self._database)

    @cached_property
    def _audit_catalog(self) -> AuditCatalog:
        return AuditCatalog(self._database)


@asynccontextmanager
async def open_content(
    settings: Settings, metrics: Metrics | None = None, *, is_lost: bool = False
) -> AsyncIterator[ContentServices]:
    """Open an existing data folder, which other processes may be using.

    Raises:
        CatalogLost: the catalog is lost or damaged (with `is_lost`, it is opened anyway).
        StoreError: the catalog cannot be opened, or a server of an older version is using it.
        SettingsError: there is no data folder.
    """
    folder = find_data_folder(settings)
    if not is_lost and (folder.lost.exists() or is_missing(folder.catalog)):
        raise CatalogLost(str(folder.catalog))
    refuse_migration(folder)
    async with open_database(folder, uses_spare=True) as database:
        yield ContentServices(settings, open_handles(folder), metrics or Metrics(), database)


def find_data_folder(settings: Settings) -> DataFolder:
    """Return the data folder that commands work on, which has to exist.

    Raises:
        SettingsError: it does not exist, or cannot be used.
    """
    path = settings.storage.path
    check_data_folder(path)
    try:
        return find_folder(path)
    except StoreTooNew:
        raise
    except StoreError as error:
        why, cure = f"{error.path} {error.why}", "name another folder there"
        if not path.exists():
            why = f"nothing is stored yet: the data folder {why}"
            makers = "entrepot serve, entrepot images warm or entrepot bundle import makes it"
            cure = f"{makers}; if it should exist, check storage.path"
        raise SettingsError("storage.path", why, cure) from error


def open_handles(folder: DataFolder) -> DataHandles:
    """Return the objects that access the parts of a data folder."""
    store, ingests = DiskStore(folder.blobs, folder.quarantine), Ingests(folder.ingests)
    return DataHandles(folder, store, store, ingests, TagFiles(folder.tags))
