"""Folders for what is worth nothing after a restart, each for one server and its processes."""

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

from registry.errors import StoreError
from registry.store.file_locks import take_lock


def open_run_folder(parent: Path) -> Path:
    """Make a new folder under `parent`, and delete those whose servers are gone.

    A lock says whether a server lives. This process and whatever it forks hold it until the last of
    them has ended: several servers may share a data folder, and number their processes alike.

    Raises:
        StoreError: the disk refused.
    """
    try:
        parent.mkdir(exist_ok=True)
        held = os.open(parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(
                held, fcntl.LOCK_EX
            )  # a folder that is just being made looks like a dead one
            for path in parent.iterdir():
                _delete_dead(path)
            folder = Path(tempfile.mkdtemp(dir=parent))
            take_lock(folder / "lock")
        finally:
            os.close(held)
    except OSError as error:
        raise StoreError(str(parent), error.strerror or str(error)) from error
    return folder


def _delete_dead(path: Path) -> None:
    if not path.is_dir():
        path.unlink()  # of a version that had no folders in here
        return
    lock = take_lock(path / "lock")
    if lock is not None:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)
