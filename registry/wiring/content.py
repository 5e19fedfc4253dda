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
from registry.catalog.deletion import RemovalCatalog
from registry.catalog.image_graph import ImageCatalog
from registry.catalog.last_used import UseCatalog
from registry.catalog.manifests import ManifestCatalog
from registry.catalog.pins import PinCatalog
from registry.catalog.pulls import PullCatalog
from registry.catalog.rebuild import FoundCatalog
from registry.catalog.usage import RoomCatalog
from registry.content.audit import Audit
from registry.content.backup import Backup, Shelves
from registry.content.deletion import Removals
from registry.content.eviction import Evictor
from registry.content.expiry import Retention
from registry.content.images import Images
from registry.content.manifests import Intake
from registry.content.pins import Pins
from registry.content.pull_history import History
from registry.content.rebuild import Recovery
from registry.content.space import Room
from registry.content.usage import Stock
from registry.errors import SettingsError, StoreError, StoreTooNew
from registry.metrics import Metrics
from registry.settings.model import Settings
from registry.store.data_folder import DataFolder, find_folder, open_folder
from registry.store.file_locks import Locks
from registry.store.ingests import Spool
from registry.store.local import DiskStore
from registry.store.pins import PinFile
from registry.store.tags import ReferenceFiles


@dataclass(frozen=True, slots=True)
class Storehouse:
    """What looks after the store, and what operators do with it; no upstream is asked."""

    room: Room
    evictor: Evictor
    audit: Audit
    retention: Retention
    history: History
    recovery: Recovery
    images: Images
    removals: Removals
    intake: Intake
    stock: Stock
    backup: Backup
    planner: Planner
    importer: Importer


@asynccontextmanager
async def open_storehouse(
    settings: Settings, metrics: Metrics | None = None, *, is_lost: bool = False
) -> AsyncIterator[Storehouse]:
    """Open the data folder, which has to be there, beside any number of other processes.

    Raises:
        StoreError: the catalog cannot be opened, or was lost (then only `is_lost` opens it).
        SettingsError: there is no data folder.
    """
    folder = find_storage(settings)
    if not is_lost and (folder.lost.exists() or is_missing(folder.catalog)):
        raise StoreError(str(folder.catalog), "is lost; start `entrepot serve`: it makes it again")
    async with Database(folder.catalog) as database:
        yield build_storehouse(settings, open_shelves(folder), metrics or Metrics(), database)


def build_storehouse(
    settings: Settings, shelves: Shelves, metrics: Metrics, database: Database
) -> Storehouse:
    """Make what looks after a data folder, with an open catalog."""
    clock = time.time
    folder, manifests = shelves.folder, ManifestCatalog(database)
    store, spool, references = shelves.store, shelves.spool, shelves.references
    catalog, pins, audits = RoomCatalog(database), PinCatalog(database), AuditCatalog(database)
    evictor = Evictor(catalog, store, spool, metrics)
    room = Room(
        catalog,
        store,
        spool,
        evictor,
        Locks(folder.locks),
        folder=folder.root,
        storage=settings.storage,
        metrics=metrics,
        clock=clock,
    )
    intake = Intake(spool, store, references, manifests, room)
    kept = Pins(pins, shelves.pins, Locks(folder.locks), clock)
    recovery = Recovery(
        references,
        store,
        intake,
        manifests=manifests,
        found=FoundCatalog(database),
        evictor=evictor,
        pins=kept,
    )
    removals = Removals(RemovalCatalog(database), pins, references, evictor)
    return Storehouse(
        room=room,
        evictor=evictor,
        audit=Audit(audits, catalog, store, room, recovery, clock=clock),
        retention=Retention(UseCatalog(database), removals, settings.storage.keep_for, clock),
        history=History(PullCatalog(database), clock),
        recovery=recovery,
        images=Images(ImageCatalog(database), kept, store),
        removals=removals,
        intake=intake,
        stock=Stock(catalog, ImageCatalog(database), audits, folder.root, settings.storage),
        backup=Backup(database, shelves),
        planner=Planner(manifests, store),
        importer=Importer(store, spool, room, intake, manifests, clock=clock),
    )


def find_storage(settings: Settings) -> DataFolder:
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


def open_backup(path: Path) -> Shelves:
    """Make a data folder for a backup, or open that of a former one.

    Raises:
        StoreError: it is anything else, cannot be made or written, or is of a newer version.
    """
    former = DataFolder(path.absolute())
    if path.exists() and any(path.iterdir()) and not former.backup.exists():
        raise StoreError(str(path), "is neither empty nor a backup; name another folder")
    folder = open_folder(path)
    folder.backup.touch()
    return open_shelves(folder)


def open_shelves(folder: DataFolder) -> Shelves:
    """Return the files of a data folder."""
    store = DiskStore(folder.blobs, folder.quarantine)
    return Shelves(
        folder, store, Spool(folder.spool), ReferenceFiles(folder.tags), PinFile(folder.pins)
    )
