"""Making or checking the data folder, and its catalog, before anything uses it."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from registry.catalog.database import Database
from registry.catalog.preparation import is_open_elsewhere, prepare
from registry.catalog.spare import SpareSpace
from registry.errors import StoreError, StoreTooNew
from registry.settings.model import Settings
from registry.store.data_folder import DataFolder, open_folder
from registry.store.files import translate_errors, write_durably
from registry.store.run_folder import open_run_folder
from registry.wiring.data_folder_checks import (
    METRICS,
    SUBFOLDERS,
    TRIAL,
    check_before_start,
    check_data_folder,
    find_existing,
    is_no_content,
    is_unused,
    is_used_by_server,
    refuse_migration,
    refuse_path,
)

_DAMAGED = b"damaged\n"  # in the mark file: the file of the catalog must not be used any more


def open_data_folder(settings: Settings, sound: bool | None = None) -> DataFolder:
    """Make or check the data folder and its catalog; `sound` is what `check_catalog` said.

    If it cannot be made completely, nothing of it is left behind.

    Raises:
        SettingsError: the data folder cannot be used, or has files of another program.
        StoreError: the catalog cannot be used, or a server of an older version is using it, or the
            data folder is of a newer version.
    """
    path = settings.storage.path.absolute()
    check_data_folder(path)
    parent = _find_parent(path)
    try:
        folder = open_folder(path)
        refuse_migration(folder)
        with translate_errors(path):
            prepare_catalog(folder, sound)
    except StoreError as error:
        if parent is not None:
            _delete_unused(DataFolder(path), parent)
        if isinstance(error, StoreTooNew) or error.path != str(path):
            raise  # its message says what to do
        raise refuse_path(error.path, error.why) from error
    return folder


def prepare_catalog(folder: DataFolder, sound: bool | None = None) -> None:
    """Check the catalog, and make a new one if it is missing or damaged.

    `sound` is what `check_catalog` said; if it is None, the catalog is checked here. If the rows
    of the new catalog have to be made from the files, the mark file says so.

    Raises:
        StoreError: the catalog cannot be made, or a newer version has migrated it.
        OSError: the disk refused.
    """
    is_damaged = folder.lost.exists() and folder.lost.read_bytes() == _DAMAGED
    prepare(folder.catalog, lambda: _mark_lost(folder), is_damaged=is_damaged, sound=sound)
    SpareSpace(folder.catalog).restore()


def open_database(folder: DataFolder, *, uses_spare: bool = False) -> Database:
    """Return the catalog of a data folder, not opened yet; see `Database` for `uses_spare`.

    A catalog that is missing by now is not made: it would stay empty. If SQLite finds damage, that
    is written to the mark file: the running server, or else the next start, makes it again.
    """
    return Database(
        folder.catalog,
        uses_spare=uses_spare,
        must_exist=True,  # `prepare_catalog` has made it
        on_damage=lambda: _mark_damaged(folder),
    )


def _mark_damaged(folder: DataFolder) -> None:
    with suppress(OSError):  # the start checks the catalog in any case
        if not folder.lost.exists():
            folder.lost.write_bytes(_DAMAGED)


@contextmanager
def new_data_folder(settings: Settings) -> Iterator[bool]:
    """Make the data folder if it is missing or empty; yield whether it was made.

    If it was made, and at the end nothing is stored in it, it is deleted again: a command that
    fails leaves no folder behind.

    Raises:
        SettingsError: the folder cannot be made, or has files of another program.
        StoreError: the catalog cannot be made.
    """
    path = settings.storage.path.absolute()
    check_data_folder(path)
    if not is_unused(path):
        yield False
        return
    parent = _find_parent(path)
    folder = open_data_folder(settings)
    try:
        yield True
    finally:
        if parent is not None:
            _delete_unused(folder, parent)


@contextmanager
def temporary_data_folder(settings: Settings) -> Iterator[Settings]:
    """Yield settings with a temporary data folder if the real one is missing or empty.

    The temporary folder is empty, on the same disk, and deleted afterwards. A dry run uses it to
    find out what a real run would do, and whether there is enough space.

    Raises:
        SettingsError: the temporary folder cannot be made, or the real one has files of another
            program.
    """
    path = settings.storage.path.absolute()
    check_data_folder(path)
    if not is_unused(path):
        yield settings
        return
    check_before_start(path)
    here = find_existing(path)
    try:
        folder = tempfile.TemporaryDirectory(prefix=TRIAL, dir=here)
    except OSError as error:
        raise refuse_path(str(here), error.strerror or str(error)) from error
    with folder as temporary:
        storage = replace(settings.storage, path=Path(temporary))
        trial = replace(settings, storage=storage)
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


def _find_parent(path: Path) -> Path | None:
    """Return up to which folder everything is new if a data folder is made at `path`.

    None if it is not new: only what was made here may be deleted again.
    """
    return None if os.path.lexists(path / "LAYOUT") else find_existing(path)


def _delete_unused(folder: DataFolder, parent: Path) -> None:
    """Delete a data folder in which nothing is stored, and the folders above it up to `parent`.

    Nothing happens if a server or another command is using it, or if it has a file of another kind.
    If another process stores something at this moment, its files are kept: only empty folders are
    deleted.
    """
    with suppress(OSError):
        if folder.has_content or not all(map(_can_be_made_again, folder.root.iterdir())):
            return
        if is_used_by_server(folder.root) is not False or is_open_elsewhere(folder.catalog):
            return
        for name in SUBFOLDERS[:-1]:
            _delete_empty(folder.root / name)
        for name in ("locks", METRICS):
            shutil.rmtree(folder.root / name, ignore_errors=True)
        for path in (*folder.root.glob("catalog.db*"), folder.lost, folder.root / "LAYOUT"):
            path.unlink(missing_ok=True)
        for path in (folder.root, *folder.root.parents):
            if path == parent:
                break
            path.rmdir()


def _can_be_made_again(path: Path) -> bool:
    """Whether `path`, at the top of a data folder without content, is of no value."""
    made = {"LAYOUT", METRICS, DataFolder(path.parent).lost.name, *SUBFOLDERS}
    return path.name in made or path.name.startswith("catalog.db") or is_no_content(path.name)


def _delete_empty(root: Path) -> None:
    """Delete a tree of folders that has no files.

    Raises:
        OSError: it has a file.
    """
    for folder, _, _ in os.walk(root, topdown=False):
        Path(folder).rmdir()


def _mark_lost(folder: DataFolder) -> None:
    """Write the mark file: this start, or else the next one, makes the catalog again."""
    if folder.has_content:
        write_durably(folder.lost, b"")
