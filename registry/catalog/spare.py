"""Bytes that the catalog can use on a full disk: a file beside it, which shrinks when it is needed.

To delete a blob, a process first writes to the catalog. Without these bytes, a disk that another
program has filled could never be emptied (decision record 0022).
"""

import errno
import os
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
SIZE = 2 * 1024 * 1024  # bytes of the whole file
PORTION = SIZE // 8  # bytes that are released at a time, since other programs may take them
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
# A quota that is used up is an error of writing for SQLite.
_FULL_IN_SQLITE = frozenset(
    {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE}
)


class SpareSpace:
    """The file of spare bytes; each process on the data folder may release and restore them."""

    def __init__(self, catalog: Path) -> None:
        self._path = catalog.with_name(f"{catalog.name}.spare")

    @property
    def missing(self) -> int:
        """How many bytes the file has fewer than `SIZE`."""
        return max(0, SIZE - self._measure())

    def _measure(self) -> int:
        try:
            return self._path.stat().st_size
        except OSError:
            return 0

    def restore(self) -> None:
        """Take the missing bytes again, unless the file system would then be nearly full."""
        missing = self.missing
        if not missing:
            return
        with suppress(OSError):  # the next attempt may succeed
            state = os.statvfs(self._path.parent)
            if state.f_bavail * state.f_frsize < missing + PORTION:
                return
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                former = os.fstat(descriptor).st_size
                try:
                    os.posix_fallocate(descriptor, 0, SIZE)
                except OSError:
                    os.ftruncate(descriptor, former)  # some file systems keep what they could give
                    raise
            finally:
                os.close(descriptor)

    def release(self) -> bool:
        """Give a portion of the bytes back to the file system; false if there are none."""
        size = self._measure()
        try:
            os.truncate(self._path, max(0, size - PORTION))
        except OSError:
            return False
        return size > 0

    def use(self, work: Callable[[], T]) -> T:
        """Run `work`, which may write; on a full disk release bytes and run it again.

        Raises:
            sqlite3.Error, OSError: of `work`, if it failed for another reason, or if no spare bytes
                are left.
        """
        while True:
            try:
                return work()
            except (sqlite3.Error, OSError) as error:
                if not is_full(error) or not self.release():
                    raise


def is_full(error: sqlite3.Error | OSError) -> bool:
    """Whether an error says that the disk, or the quota of the user, is full."""
    if isinstance(error, OSError):
        return error.errno in _FULL
    return getattr(error, "sqlite_errorcode", None) in _FULL_IN_SQLITE
