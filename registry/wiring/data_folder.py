"""Making or checking the data folder, and its catalog, before anything uses it."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from registry.catalog.database import Database
from registry.catalog.preparation import is_older, prepare
from registry.catalog.spare import SpareSpace
from registry.errors import SettingsError, StoreError, StoreTooNew
from registry.settings.model import Settings
from registry.store.data_folder import DataFolder, open_folder
from registry.store.files import write_durably
from registry.store.run_folder import find_running, open_run_folder

METRICS = "metrics"  # the subfolder that has a folder for each running server
_TRIAL = ".entrepot-trial-"  # the prefix of the names of temporary data folders
# Names that an interrupted `open_folder` leaves, and a name that every new file system has.
_DAMAGED = b"damaged\n"  # in the mark file: the file of the catalog must not be used any more
_BARE = frozenset({"LAYOUT", "blobs", "spool", "quarantine", "tags", "locks", "lost+found"})
# All that a data folder may have at its top. Without LAYOUT, `open_folder` refuses a catalog.
_OURS = _BARE | {
    "BACKUP",
    "CATALOG-LOST",
    "catalog.db",
    "catalog.db.broken",
    "catalog.db.spare",
    "imports.json",
    "metrics",
    "pins.json",
}


def open_data_folder(settings: Settings) -> DataFolder:
    """Make or check the data folder and its catalog; other files in the folder are ignored.

    Raises:
        SettingsError: the data folder cannot be used, or the folder belongs to another program.
        StoreError: the catalog cannot be used, or a server of an older version is using it, or the
            data folder is of a newer version.
    """
    _refuse_foreign(settings.storage.path)
    try:
        folder = open_folder(settings.storage.path)
    except StoreTooNew:
        raise  # its message says what to do
    except StoreError as error:
        raise _refuse(error.path, error.why) from error
    refuse_migration(folder)
    prepare_catalog(folder)
    return folder


def prepare_catalog(folder: DataFolder) -> None:
    """Check the catalog, and make a new one if it is missing or damaged.

    If the rows of the new catalog have to be made from the files, the mark file says so.

    Raises:
        StoreError: the catalog cannot be made, or a newer version has migrated it.
        OSError: the disk refused.
    """
    is_damaged = folder.lost.exists() and folder.lost.read_bytes() == _DAMAGED
    prepare(folder.catalog, lambda: _mark_lost(folder), is_damaged=is_damaged)
    SpareSpace(folder.catalog).restore()


def open_database(folder: DataFolder, *, uses_spare: bool = False) -> Database:
    """Return the catalog of a data folder, not opened yet; see `Database` for `uses_spare`.

    If SQLite finds damage, that is written to the mark file: the running server, or else the next
    start, makes the catalog again.
    """
    return Database(folder.catalog, uses_spare=uses_spare, on_damage=lambda: _mark_damaged(folder))


def _mark_damaged(folder: DataFolder) -> None:
    with suppress(OSError):  # the start checks the catalog in any case
        if not folder.lost.exists():
            folder.lost.write_bytes(_DAMAGED)


def refuse_migration(folder: DataFolder) -> None:
    """Refuse to migrate the catalog while a server of an older version is using it.

    Its queries could fail with the new tables, or give wrong results.

    Raises:
        StoreError: the catalog has to be migrated, and a server is running.
    """
    running = find_running(folder.root / METRICS) if is_older(folder.catalog) else None
    if running is not None:
        raise StoreError(
            str(folder.catalog),
            "is of an older version, and a server of that version is using it; stop the server"
            f" first, or use the command of its version (its processes: fuser -v {running})",
        )


def create_data_folder(settings: Settings) -> bool:
    """Make the data folder if it is missing or empty; return whether it was made.

    Raises:
        SettingsError: the folder cannot be made.
        StoreError: the catalog cannot be made.
    """
    if not _is_empty(settings.storage.path):
        return False
    open_data_folder(settings)
    return True


@contextmanager
def temporary_data_folder(settings: Settings) -> Iterator[Settings]:
    """Yield settings with a temporary data folder if the real one is missing or empty.

    The temporary folder is empty, on the same disk, and deleted afterwards. A dry run uses it to
    find out what a real run would do, and whether there is enough space.

    Raises:
        SettingsError: the temporary folder cannot be made.
    """
    path = settings.storage.path.absolute()
    if not _is_empty(path):
        yield settings
        return
    here = next(each for each in (path, *path.parents) if each.is_dir())
    try:
        folder = tempfile.TemporaryDirectory(prefix=_TRIAL, dir=here)
    except OSError as error:
        raise _refuse(str(here), error.strerror or str(error)) from error
    with folder as temporary:
        storage = settings.storage.model_copy(update={"path": Path(temporary)})
        trial = settings.model_copy(update={"storage": storage})
        open_data_folder(trial)
        yield trial


@contextmanager
def open_run_data_folder() -> Iterator[DataFolder]:
    """Make a data folder that is deleted at the end; also delete the folders of killed servers.

    Raises:
        StoreError: the catalog cannot be made, or another user owns the parent folder.
        OSError: the disk refused.
    """
    parent = Path(tempfile.gettempdir()) / f"entrepot-{os.geteuid()}"
    parent.mkdir(mode=0o700, exist_ok=True)
    if parent.lstat().st_uid != os.geteuid():  # its owner could replace the catalog
        raise StoreError(str(parent), "belongs to another user; set TMPDIR to another folder")
    root = open_run_folder(parent)
    try:
        folder = open_folder(root)
        prepare(folder.catalog, lambda: None)
        yield folder
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _refuse_foreign(path: Path) -> None:
    """Refuse a folder that has files of another program and no LAYOUT file.

    The mirror deletes files in folders such as `blobs/` and `quarantine/`, so it must not use a
    folder in which these files could belong to another program.
    """
    try:
        names = {each.name for each in path.iterdir() if not each.name.startswith(".")}
    except OSError:
        return  # the folder is missing, or the attempt to open it says why it cannot be used
    foreign = sorted(names - _OURS)
    if foreign and "LAYOUT" not in names:
        why = f"{path} is no data folder (it contains {foreign[0]}, and no LAYOUT file)"
        raise SettingsError("storage.path", why, "name a folder that is empty or does not exist")


def _is_empty(path: Path) -> bool:
    """Whether the folder is missing or empty; false if it cannot be read."""
    try:
        names = {each.name for each in path.iterdir() if not each.name.startswith(_TRIAL)}
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return names <= _BARE and not DataFolder(path.absolute()).has_content


def _refuse(path: str, why: str) -> SettingsError:
    return SettingsError(
        "storage.path",
        f"{path} cannot be used ({why})",
        "name a folder that the user who runs entrepot may write to",
    )


def _mark_lost(folder: DataFolder) -> None:
    """Write the mark file: this start, or else the next one, makes the catalog again."""
    if folder.has_content:
        write_durably(folder.lost, b"")
