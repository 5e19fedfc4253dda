"""What looks after the store, made of its parts; `pulls.py` makes what pulls are answered from."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from registry.bundle.load.importer import Importer
from registry.bundle.write.plan import Planner
from registry.catalog.audits import AuditCatalog
from registry.catalog.database import Database, is_missing
from registry.catalog.deletion import DeletionCatalog
from registry.catalog.image_graph import ImageGraphCatalog
from registry.catalog.last_used import LastUsedCatalog
from registry.catalog.manifests import ManifestCatalog
from registry.catalog.pulls import PullCatalog
from registry.catalog.rebuild import RebuildCatalog
from registry.catalog.usage import UsageCatalog
from registry.content.audit import Audit
from registry.content.backup import Backup, DataHandles
from registry.content.deletion import ImageDeletion
from registry.content.eviction import Evictor
from registry.content.expiry import Expiry
from registry.content.images import Images
from registry.content.manifests import ManifestStore
from registry.content.pins import Pins
from registry.content.pull_history import PullHistory
from registry.content.rebuild import Rebuild
from registry.content.space import Space
from registry.content.usage import UsageMeter
from registry.errors import SettingsError, StoreError, StoreTooNew
from registry.metrics import Metrics
from registry.settings.model import Settings
from registry.store.data_folder import DataFolder, find_folder, open_folder
from registry.store.file_locks import ExclusiveLocks
from registry.store.ingests import Ingests
from registry.store.local import DiskStore
from registry.store.tags import TagFiles


@dataclass(frozen=True, slots=True)
class Content:
    """What looks after the store, and what operators do with it; no upstream is asked."""

    room: Space
    evictor: Evictor
    audit: Audit
    retention: Expiry
    history: PullHistory
    recovery: Rebuild
    images: Images
    removals: ImageDeletion
    intake: ManifestStore
    stock: UsageMeter
    backup: Backup
    planner: Planner
    importer: Importer


@asynccontextmanager
async def open_content(
    settings: Settings, metrics: Metrics | None = None, *, is_lost: bool = False
) -> AsyncIterator[Content]:
    """Open the data folder, which has to be there, beside any number of other processes.

    Raises:
        StoreError: the catalog cannot be opened, or was lost (then only `is_lost` opens it).
        SettingsError: there is no data folder.
    """
    folder = find_data_folder(settings)
    if not is_lost and (folder.lost.exists() or is_missing(folder.catalog)):
        raise StoreError(str(folder.catalog), "is lost; start `entrepot serve`: it makes it again")
    async with Database(folder.catalog) as database:
        yield build_content(settings, open_handles(folder), metrics or Metrics(), database)


def build_content(
    settings: Settings, handles: DataHandles, metrics: Metrics, database: Database
) -> Content:
    """Make what looks after a data folder, with an open catalog."""
    clock = time.time
    folder, manifests = handles.folder, ManifestCatalog(database)
    store, ingests, references = handles.store, handles.ingests, handles.references
    catalog, audits = UsageCatalog(database), AuditCatalog(database)
    locks = ExclusiveLocks(folder.locks)
    evictor = Evictor(catalog, store, ingests, metrics)
    room = Space(
        catalog,
        store,
        ingests,
        evictor,
        locks,
        folder=folder.root,
        storage=settings.storage,
        metrics=metrics,
        clock=clock,
    )
    intake = ManifestStore(ingests, store, references, manifests, room)
    kept = Pins(database, folder.pins, locks, clock)
    recovery = Rebuild(
        references,
        store,
        intake,
        manifests=manifests,
        found=RebuildCatalog(database),
        evictor=evictor,
        pins=kept,
    )
    removals = ImageDeletion(DeletionCatalog(database), references, evictor, locks)
    return Content(
        room=room,
        evictor=evictor,
        audit=Audit(audits, catalog, store, room, recovery, clock=clock),
        retention=Expiry(LastUsedCatalog(database), removals, settings.storage.keep_for, clock),
        history=PullHistory(PullCatalog(database), clock),
        recovery=recovery,
        images=Images(ImageGraphCatalog(database), kept, store),
        removals=removals,
        intake=intake,
        stock=UsageMeter(
            catalog, ImageGraphCatalog(database), audits, folder.root, settings.storage
        ),
        backup=Backup(database, handles),
        planner=Planner(manifests, store),
        importer=Importer(store, ingests, room, intake, manifests, clock=clock),
    )


def find_data_folder(settings: Settings) -> DataFolder:
    """Return the data folder that commands work on: it has to be there.

    Raises:
        SettingsError: it is not there, or cannot be used.
    """
    try:
        return find_folder(settings.storage.path)
    except StoreTooNew:
        raise
    except StoreError as error:
        raise SettingsError(
            "storage.path",
            f"{error.path} {error.why}",
            "start `entrepot serve` once, or name its configuration with --config",
        ) from error


def open_backup(path: Path) -> DataHandles:
    """Make a data folder for a backup, or open that of a former one.

    Raises:
        StoreError: it is anything else, cannot be made or written, or is of a newer version.
    """
    former = DataFolder(path.absolute())
    if path.exists() and any(path.iterdir()) and not former.backup.exists():
        raise StoreError(str(path), "is neither empty nor a backup; name another folder")
    folder = open_folder(path)
    folder.backup.touch()
    return open_handles(folder)


def open_handles(folder: DataFolder) -> DataHandles:
    """Return the files of a data folder."""
    store = DiskStore(folder.blobs, folder.quarantine)
    return DataHandles(folder, store, Ingests(folder.ingests), TagFiles(folder.tags))
