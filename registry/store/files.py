"""Locks on files, durable changes of files, and the translation of errors."""

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from registry.errors import StoreError


@contextmanager
def translate_errors(path: Path | str) -> Iterator[None]:
    """Turn each `OSError` of the body into a `StoreError` about `path`.

    Raises:
        StoreError: the system refused an operation; `why` is the message of the system.
    """
    try:
        yield
    except OSError as error:
        raise refuse(path, error) from error


def refuse(path: Path | str | None, error: OSError) -> StoreError:
    """Return the `StoreError` for an `OSError` about `path`."""
    return StoreError(str(path), error.strerror or str(error))


def take_lock(path: Path) -> int | None:
    """Open `path`, or create it, and lock the file without waiting.

    Returns the descriptor, which holds the lock until it is closed; None while another holder has
    the lock. A holder may rename or unlink the file before it releases the lock. So after locking,
    this checks that `path` still leads to the locked file. A read-only file is opened for reading.

    Raises:
        OSError: the file cannot be made or opened, or is a link, which could lead to any file.
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
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except PermissionError:
        if not path.exists():
            raise
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)


def leads_to(path: Path, descriptor: int) -> bool:
    """Whether `path` is (still) a name of the open file `descriptor`."""
    try:
        named, held = path.stat(), os.fstat(descriptor)
    except FileNotFoundError:
        return False
    return (named.st_dev, named.st_ino) == (held.st_dev, held.st_ino)


def write_durably(path: Path, content: bytes, *, is_secret: bool = False) -> None:
    """Replace the content of `path`; after a crash the file has the old or the new content.

    Only the user of this process can read a file that `is_secret`.

    Raises:
        OSError: the disk refused; the old content is still there.
    """
    # The name begins with a dot, because names of tags and digests do not. It differs for each
    # thread, because two threads may write the same path at the same time.
    writer = f"{os.getpid()}-{threading.get_native_id()}"
    temporary = path.with_name(f".new-{writer}-{path.name[:200]}")
    try:
        with open_new(temporary, 0o600 if is_secret else 0o666) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def open_new(path: Path, mode: int = 0o666) -> BinaryIO:
    """Make a file and open it for writing; a file or link of that name is deleted first.

    A link is not followed: whoever made it would choose the file that is overwritten. The file has
    its `mode`, less the umask, from the beginning: who has opened it can read what comes later.

    Raises:
        OSError: the disk refused.
    """
    path.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, mode), "wb")


def make_folder(path: Path) -> None:
    """Make a folder, and the missing folders above it, durably.

    Raises:
        OSError: the disk refused.
    """
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir(exist_ok=True)
        sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable, for example after a rename."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
