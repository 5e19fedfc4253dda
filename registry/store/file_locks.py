"""Locks between processes: the kernel keeps them, and frees them when a process dies."""

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

PATIENCE = 5.0  # seconds to wait for a lock whose holder waits for a silent upstream
DEADLINE = 60.0  # seconds to wait for a lock without which the work must not be done
POLL = 0.01  # seconds between two tries; a question to an upstream takes longer
_FLOCK = "hhqqi0q"  # Linux's struct flock: type, whence, start, length, process (0)


def take_lock(path: Path) -> int | None:
    """Open (creating it) and lock `path` without waiting.

    Returns the descriptor, which holds the lock until it is closed, or None while another holder
    has it. A holder may rename or unlink the file before letting go, so a lock counts only if the
    path still leads to the file that was locked.

    A file that its owner may only read is locked all the same; its descriptor cannot write.

    Raises:
        OSError: the file cannot be made or opened.
    """
    descriptor = _open(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if leads_to(path, descriptor):
            return descriptor
    except BlockingIOError:
        pass
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except PermissionError:
        if not path.exists():
            raise
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def leads_to(path: Path, descriptor: int) -> bool:
    """Whether `path` is (still) a name of the open file `descriptor`."""
    try:
        named, held = path.stat(), os.fstat(descriptor)
    except FileNotFoundError:
        return False
    return (named.st_dev, named.st_ino) == (held.st_dev, held.st_ino)


class _NamedLocks:
    """Locks by name, shared by every process on one data folder: bytes of one empty file."""

    def __init__(self, folder: Path) -> None:
        # Version 0.1 locks the same bytes of a file with this name.
        self._file = folder / "questions"

    async def _wait(self, name: str, retries: float) -> int | None:
        """Wait for the lock `name` for at most `retries` seconds; None when it was not free.

        Returns the descriptor, which holds the lock until it is closed.

        Raises:
            OSError: the file cannot be made, opened or locked.
        """
        descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + retries
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
    """Named locks that save work and guard nothing: their body may run without the lock.

    They are for a question to an upstream that another process is asking just now. Whatever must
    not happen twice at once takes `ExclusiveLocks` (decision record 0018).
    """

    @asynccontextmanager
    async def try_hold(self, name: str) -> AsyncIterator[None]:
        """Hold the lock `name` if it can be had, and run the body in any case.

        The body runs without the lock when another holder has kept it for `PATIENCE` seconds, and
        when the disk refuses lock files.
        """
        descriptor = None
        with suppress(OSError):
            descriptor = await self._wait(name, PATIENCE)
        try:
            yield
        finally:
            if descriptor is not None:
                os.close(descriptor)


class ExclusiveLocks(_NamedLocks):
    """Named locks that guard correctness: their body never runs without the lock."""

    @asynccontextmanager
    async def hold(self, name: str, within: float = DEADLINE) -> AsyncIterator[None]:
        """Wait for the lock `name` for at most `within` seconds, and hold it during the body.

        Raises:
            StoreError: another holder kept the lock for so long, or the disk refuses lock files.
                The body has not run.
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
    """Lock the byte of one file that is `name`'s, without waiting; whether it could be had.

    The kernel locks bytes that no file has, so nothing is written: a file for each name would be
    two changes to the file system a question, and those may wait for its journal. The lock belongs
    to the open file, hence to one holder, and is freed when it is closed.
    """
    offset = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) >> 2
    wanted = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, offset, 1, 0)
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, wanted)
    except (BlockingIOError, PermissionError):  # POSIX leaves open which of them it is
        return False
    return True
