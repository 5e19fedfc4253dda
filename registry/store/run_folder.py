"""Folders for files that nobody needs after a restart; each server has its own folder."""

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from registry.store.files import take_lock, translate_errors

_CONSOLE = "console"


def open_run_folder(parent: Path, *, keeps_ended: bool = False) -> Path:
    """Make a new folder under `parent`, and delete the folders of servers that have ended.

    With `keeps_ended`, these stay, as somebody still reads them (`list_ended`, `delete_ended`).

    A lock in the folder says whether its server is running: this process and its children hold the
    lock until the last of them has ended. Process numbers would not be enough: several servers on
    a data folder may be in different containers, where process numbers are the same.

    Raises:
        StoreError: the disk refused.
    """
    with translate_errors(parent):
        parent.mkdir(exist_ok=True)
        held = os.open(parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            # Another server may have made its folder and not locked it yet.
            fcntl.flock(held, fcntl.LOCK_EX)
            for path in () if keeps_ended else parent.iterdir():
                delete_ended(path)
            folder = Path(tempfile.mkdtemp(dir=parent))
            take_lock(folder / "lock")
        finally:
            os.close(held)
    return folder


def note_console(folder: Path, address: str) -> None:
    """Note in the folder of a server where its console listens, for commands.

    A disk that refuses costs nothing else.
    """
    with suppress(OSError):
        (folder / _CONSOLE).write_text(address, encoding="utf-8")


def find_console(folder: Path) -> str:
    """Return the address that `note_console` has noted; empty if there is none."""
    try:
        return (folder / _CONSOLE).read_text(encoding="utf-8")
    except OSError:
        return ""


def find_running(parent: Path) -> Path | None:
    """Return a file that a running server has open and locked; None if no server is running.

    Raises:
        StoreError: the disk refused.
    """
    return next((folder / "lock" for folder in list_running(parent)), None)


def list_running(parent: Path) -> list[Path]:
    """Return the folders of the servers that are running.

    Raises:
        StoreError: the disk refused.
    """
    return _list_folders(parent)[0]


def list_ended(parent: Path) -> list[Path]:
    """Return the folders of servers that have ended, and what else is no folder of a server.

    Raises:
        StoreError: the disk refused.
    """
    return _list_folders(parent)[1]


def _list_folders(parent: Path) -> tuple[list[Path], list[Path]]:
    """Return the folders of running servers, and everything else."""
    if not parent.exists():
        return [], []
    running, ended = [], []
    with translate_errors(parent):
        held = os.open(parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            # Otherwise a server that starts at the moment could not lock its folder.
            fcntl.flock(held, fcntl.LOCK_EX)
            for path in parent.iterdir():
                lock = take_lock(path / "lock") if (path / "lock").exists() else -1
                if lock is None:
                    running.append(path)
                    continue
                ended.append(path)
                if lock >= 0:
                    os.close(lock)
        finally:
            os.close(held)
    return running, ended


def delete_ended(path: Path) -> None:
    """Delete the folder of a server, unless it is running, or a file that is in its place."""
    if not path.is_dir():
        path.unlink()  # written by a version that had files in `parent`
        return
    lock = take_lock(path / "lock")
    if lock is not None:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)
