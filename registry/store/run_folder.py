"""Folders for files that nobody needs after a restart; each server has its own folder."""

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

from registry.store.files import take_lock, translate_errors


def open_run_folder(parent: Path) -> Path:
    """Make a new folder under `parent`, and delete the folders of servers that have ended.

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
            for path in parent.iterdir():
                _delete_unlocked(path)
            folder = Path(tempfile.mkdtemp(dir=parent))
            take_lock(folder / "lock")
        finally:
            os.close(held)
    return folder


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
    if not parent.exists():
        return []
    running = []
    with translate_errors(parent):
        held = os.open(parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            # Otherwise a server that starts at the moment could not lock its folder.
            fcntl.flock(held, fcntl.LOCK_EX)
            for path in parent.glob("*/lock"):
                lock = take_lock(path)
                if lock is None:
                    running.append(path.parent)
                else:
                    os.close(lock)
        finally:
            os.close(held)
    return running


def _delete_unlocked(path: Path) -> None:
    if not path.is_dir():
        path.unlink()  # written by a version that had files in `parent`
        return
    lock = take_lock(path / "lock")
    if lock is not None:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)
