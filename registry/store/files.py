"""Files: locks on them, changes that survive a crash, and the one translation of their errors."""

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from registry.errors import StoreError


@contextmanager
def translate_errors(path: Path | str) -> Iterator[None]:
    """Turn each `OSError` of the body into a `StoreError` about `path`.

    Raises:
        StoreError: the system refused something; `why` is what it said.
    """
    try:
        yield
    except OSError as error:
        raise refuse(path, error) from error


def refuse(path: Path | str | None, error: OSError) -> StoreError:
    """Return the error of ours for what the system said of `path`."""
    return StoreError(str(path), error.strerror or str(error))


def take_lock(path: Path) -> int | None:
    """Open (creating it) and lock `path` without waiting.

    Returns the descriptor, which holds the lock until it is closed; None while another holder has
    the lock. A holder may rename or unlink the file before it releases the lock, so the lock counts
    only if `path` still leads to the file that was locked.

    A file that its owner may only read is locked too; its descriptor cannot write.

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


def write_durably(path: Path, content: bytes) -> None:
    """Replace `path` by `content` so that a crash leaves the old or the new, never a mixture.

    Raises:
        OSError: the disk refused; the old content is still there.
    """
    # The name begins with a dot, which neither a tag nor a digest does; and two threads that write
    # the same path must not write the same temporary file.
    writer = f"{os.getpid()}-{threading.get_native_id()}"
    temporary = path.with_name(f".new-{writer}-{path.name[:200]}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def make_folder(path: Path) -> None:
    """Make a folder and those above it, durably.

    Raises:
        OSError: the disk refused.
    """
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir(exist_ok=True)
        sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable: a rename alone is not."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
