"""Named locks between processes: the kernel keeps them, and frees them when a process dies."""

import asyncio
import fcntl
import hashlib
import os
import struct
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from registry.errors import StoreError

BEST_EFFORT_WAIT = 5.0  # seconds; the holder may be waiting for an upstream that does not answer
EXCLUSIVE_WAIT = 60.0  # seconds to wait for a lock without which the work must not be done
POLL = 0.01  # seconds between two tries; a question to an upstream takes longer
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_FLOCK = "hhqqi0q"  # Linux's struct flock: type, whence, start, length, process (0)


class _NamedLocks:
    """Locks by name for all processes on one data folder.

    A lock is a locked byte offset of one file. The file stays empty.
    """

    def __init__(self, folder: Path) -> None:
        # Version 0.1 locks the same bytes of a file with this name.
        self._file = folder / "questions"

    async def _wait(self, name: str, within: float) -> int | None:
        """Wait for the lock `name` for at most `within` seconds; None if it did not become free.

        Returns the descriptor, which holds the lock until it is closed.

        Raises:
            OSError: the file cannot be made, opened or locked.
        """
        descriptor = os.open(self._file, _FLAGS, 0o600)
        deadline = time.monotonic() + within
        try:
            while not _lock_byte(descriptor, name):
                if time.monotonic() >= deadline:
                    os.close(descriptor)
                    return None
                await asyncio.sleep(POLL)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor


class BestEffortLocks(_NamedLocks):
    """Named locks that only save work: the body may also run without the lock.

    They are for requests to an upstream that another process may be sending at the moment. Work
    that two processes must not do at once needs `ExclusiveLocks` (decision record 0018).
    """

    @asynccontextmanager
    async def try_hold(self, name: str) -> AsyncIterator[None]:
        """Hold the lock `name` if it becomes free soon, and run the body in any case.

        The body runs without the lock if another holder keeps it for `BEST_EFFORT_WAIT` seconds,
        or if the disk refuses lock files.
        """
        descriptor = None
        with suppress(OSError):
            descriptor = await self._wait(name, BEST_EFFORT_WAIT)
        try:
            yield
        finally:
            if descriptor is not None:
                os.close(descriptor)


class ExclusiveLocks(_NamedLocks):
    """Named locks for correctness: the body never runs without the lock.

    There is no queue. Each waiter tries again every `POLL` seconds, and whoever tries first after
    the lock is released gets it. So a waiter may be passed by others, also by later ones.
    """

    @asynccontextmanager
    async def hold(self, name: str, within: float = EXCLUSIVE_WAIT) -> AsyncIterator[None]:
        """Wait for the lock `name` for at most `within` seconds, and hold it during the body.

        Raises:
            StoreError: another holder kept the lock for `within` seconds, or the disk refuses lock
                files. The body has not run.
        """
        try:
            descriptor = await self._wait(name, within)
        except OSError as error:
            why = f"the lock {name!r} cannot be taken ({error.strerror or error})"
            cure = "make this file writable, on a file system that has fcntl locks"
            raise StoreError(str(self._file), f"{why}; {cure}") from error
        if descriptor is None:
            why = f"another process has held the lock {name!r} for more than {within:g} seconds"
            cure = f"try again, or find a process that hangs with: fuser -v {self._file}"
            raise StoreError(str(self._file), f"{why}; {cure}")
        try:
            yield
        finally:
            os.close(descriptor)


def _lock_byte(descriptor: int, name: str) -> bool:
    """Lock the byte that belongs to `name`, without waiting; false while another holder has it.

    The kernel also locks bytes after the end of a file, so nothing is written. With one file for
    each lock, each lock would create and delete a file, and wait for the journal of the file
    system. The lock belongs to the open file: it has one holder, and closing the file frees it.
    """
    offset = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) >> 2
    wanted = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, offset, 1, 0)
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, wanted)
    except (BlockingIOError, PermissionError):  # POSIX allows either
        return False
    return True
