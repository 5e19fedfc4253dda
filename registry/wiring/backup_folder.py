"""The folder of a backup: only its owner may read it, because it has private images."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from registry.content.backup import DataHandles
from registry.errors import StoreError
from registry.store.data_folder import DataFolder, open_folder
from registry.wiring.content import open_handles

_OTHERS = 0o077  # the rights of everybody but the owner


def open_backup(path: Path) -> DataHandles:
    """Make a data folder for a backup, or open the folder of an earlier backup.

    Raises:
        StoreError: the folder has other content, cannot be made or written, or is of a newer
            version.
    """
    former = DataFolder(path.absolute())
    if path.exists() and any(path.iterdir()) and not former.backup.exists():
        raise StoreError(str(path), "is neither empty nor a backup; name another folder")
    folder = open_folder(path)
    folder.backup.touch()
    _close_to_others(folder)
    return open_handles(folder)


@contextmanager
def making_private_files() -> Iterator[None]:
    """Let all files and folders that this process makes be readable for its user only."""
    former = os.umask(_OTHERS)
    try:
        yield
    finally:
        os.umask(former)


def _close_to_others(folder: DataFolder) -> None:
    """Close what an earlier version left open, but not the folder itself: it may be the user's."""
    for path in folder.root.iterdir():
        with suppress(PermissionError):  # of another user, who decides about it
            path.chmod(path.stat().st_mode & ~_OTHERS)
