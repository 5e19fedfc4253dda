"""Locks between processes: the kernel keeps them, and frees them when a process dies."""

import asyncio
import fcntl
import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

PATIENCE = 5.0  # seconds to wait for a lock whose holder waits for a silent upstream
POLL = 0.01  # seconds between two tries; a question to an upstream takes longer


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
    """Named locks shared by every process on one data folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @asynccontextmanager
    async def hold(self, name: str) -> AsyncIterator[None]:
        """Hold the lock called `name`.

        What the lock saves is a second question, not correctness. So after `PATIENCE` seconds of
        waiting, or when the disk refuses lock files, the body runs without it.
        """
        path = self._folder / hashlib.sha256(name.encode()).hexdigest()
        descriptor = await self._wait(path)
        try:
            yield
        finally:
            if descriptor is not None:
                # Unlinked while held: whoever locks the old file sees the path lead elsewhere.
                path.unlink(missing_ok=True)
                os.close(descriptor)

    async def _wait(self, path: Path) -> int | None:
        for _ in range(round(PATIENCE / POLL)):
            try:
                descriptor = take_lock(path)
            except OSError:
                return None
            if descriptor is not None:
                return descriptor
            await asyncio.sleep(POLL)
        return None
