"""Whether a folder can be used as the data folder, and who uses it; nothing in it is changed."""

import errno
import os
import re
import tempfile
from pathlib import Path

from registry.catalog.preparation import check_version, is_older
from registry.errors import SettingsError, StoreError, StoreTooNew
from registry.store.data_folder import DataFolder, find_folder
from registry.store.run_folder import find_running

METRICS = "metrics"  # the subfolder that has a folder for each running server
TRIAL = ".entrepot-trial-"  # the prefix of the names of temporary data folders
SUBFOLDERS = ("spool", "blobs", "tags", "quarantine", "locks")
# What an empty file system may have at its top.
_OF_FILE_SYSTEM = frozenset({"lost+found", ".snapshot", ".snapshots"})
# The temporary files of `open_folder`, which it leaves if it is killed.
_UNFINISHED = re.compile(rf"{re.escape(TRIAL)}.*|\.new-\d+-\d+-LAYOUT|\.probe-\d+")


def check_data_folder(path: Path) -> None:
    """Refuse a folder that has files of another program.

    The mirror deletes files in folders such as `blobs/` and `quarantine/`, so it must not use a
    folder in which these files could belong to another program. A folder that does not exist, or
    that this user must not look into, is not refused.

    Raises:
        SettingsError: the folder has other files, and no LAYOUT file; or it is no folder.
    """
    try:
        found = list(path.iterdir())
    except NotADirectoryError as error:
        raise refuse_path(str(path), error.strerror or "") from error
    except OSError:
        return
    if any(each.name == "LAYOUT" for each in found):
        return
    if foreign := [each.name for each in found if not _is_ours(each)]:
        first = min(foreign, key=lambda name: (name.startswith("."), name))
        why = f"{path} is no data folder (it contains {first}, and no LAYOUT file)"
        raise SettingsError("storage.path", why, "name a folder that is empty or does not exist")


def check_before_start(path: Path) -> None:
    """Refuse the data folder that a server of this user would refuse at its start.

    Raises:
        SettingsError: the folder cannot be made or written, or has files of another program.
        StoreError: it is of a newer version, or a server of an older version is using it.
    """
    check_data_folder(path)
    try:
        if not (path / "LAYOUT").exists():
            _try_to_write(path)
            return
        folder = find_folder(path)
    except StoreTooNew:
        raise
    except StoreError as error:
        raise refuse_path(error.path, error.why) from error
    except OSError as error:
        raise refuse_path(str(path), error.strerror or str(error)) from error
    check_version(folder.catalog)
    refuse_migration(folder)
    if not os.access(path, os.W_OK, effective_ids=True):
        raise refuse_path(str(path), os.strerror(errno.EACCES))


def _try_to_write(path: Path) -> None:
    Path(tempfile.mkdtemp(prefix=TRIAL, dir=find_existing(path))).rmdir()


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


def is_unused(path: Path) -> bool:
    """Whether a data folder is missing, empty or unfinished; false if it cannot be read."""
    try:
        return all(each.name == "LAYOUT" or _is_ours(each) for each in path.iterdir())
    except FileNotFoundError:
        return True
    except OSError:
        return False


def is_used_by_server(path: Path) -> bool | None:
    """Whether a server is running on a data folder; None if this user cannot find out."""
    try:
        return find_running(path / METRICS) is not None
    except (StoreError, OSError):
        return None


def find_existing(path: Path) -> Path:
    """Return `path`, or the nearest folder above it, that exists and that this user can see."""
    return next(each for each in (path, *path.parents) if os.path.isdir(each))  # noqa: PTH112


def measure_free(path: Path) -> int | None:
    """Return how many bytes of the disk of a data folder are free; None if that is not known."""
    try:
        state = os.statvfs(find_existing(path))
    except OSError:
        return None
    return state.f_bavail * state.f_frsize


def find_other_owner(path: Path) -> tuple[Path, int] | None:
    """Return the file or else its folder, and its owner's number; None if that is this user."""
    for each in (path, *path.absolute().parents):
        try:
            owner = each.stat().st_uid
        except OSError:  # it is missing, or this user must not look into a folder above it
            continue
        return None if owner == os.geteuid() else (each, owner)
    return None


def refuse_path(path: str, why: str) -> SettingsError:
    """Return the error about a folder that the operating system refused."""
    cure = "name a folder that the user who runs entrepot may write to"
    if os.strerror(errno.EACCES) in why and (found := find_other_owner(Path(path))):
        cure = f"{found[0]} belongs to user {found[1]}: run this as that user, or {cure}"
    return SettingsError("storage.path", f"{path} cannot be used ({why})", cure)


def is_no_content(name: str) -> bool:
    """Whether a file of this name is of the file system, or a temporary file of `open_folder`."""
    return name in _OF_FILE_SYSTEM or _UNFINISHED.fullmatch(name) is not None


def _is_ours(path: Path) -> bool:
    """Whether a file may be in a data folder in which nothing was stored yet."""
    if is_no_content(path.name):
        return True
    if path.name not in SUBFOLDERS:
        return False
    try:
        return not any(path.iterdir())
    except OSError:  # no folder, or not ours to look into
        return False
