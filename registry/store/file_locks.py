"""Locks between processes: the kernel keeps them, and frees them when a process dies."""

import asyncio
import fcntl
import hashlib
import os
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

PATIENCE = 5.0  # seconds to wait for a lock whose holder waits for a silent upstream
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


class Locks:
    """Named locks shared by every process on one data folder: bytes of one empty file."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "questions"

    @asynccontextmanager
    async def hold(self, name: str) -> AsyncIterator[None]:
        """Hold the lock called `name`.

        What the lock saves is a second question, not correctness. So after `PATIENCE` seconds of
        waiting, or when the disk refuses lock files, the body runs without it.
        """
        descriptor = await self._wait(name)
        try:
            yield
        finally:
            if descriptor is not None:
                os.close(descriptor)

    async def _wait(self, name: str) -> int | None:
        try:
            descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return None
        try:
            for _ in range(round(PATIENCE / POLL)):
                if _lock_byte(descriptor, name):
                    return descriptor
                await asyncio.sleep(POLL)
        except OSError:
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        return None


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
