"""Opening a bundle by paths of the command line: a file, stdin, a folder, or volumes."""

import os
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from io import BufferedReader, FileIO, UnsupportedOperation
from pathlib import Path

from registry.bundle.format.inventory import MAX_SIZE, Inventory, read_inventory
from registry.bundle.format.lock import MAX_LOCK, Lock, parse_lock
from registry.bundle.format.tar import BLOCK
from registry.bundle.format.volumes import parse_volume
from registry.bundle.read.flaws import Flaws
from registry.bundle.read.folder_source import FolderSource
from registry.bundle.read.head import Opened, open_bundle
from registry.bundle.read.sources import MAX_SMALL, BundleSource, TarSource, read_member
from registry.bundle.read.volume_source import open_volumes
from registry.errors import BundleInvalid

STDIN = "-"


@contextmanager
def open_paths(paths: Sequence[Path]) -> Iterator[Opened]:
    """Open one bundle: a tar, `-` for stdin, a folder, volumes, or a folder with volumes.

    Raises:
        BundleInvalid: the paths are not one bundle, or the bundle cannot be used.
        OSError: a file cannot be read.
    """
    with ExitStack() as stack:
        yield open_bundle(_find_source(paths, stack))


def load_lock(path: Path) -> Lock:
    """Read the lock of a bundle in any form, or the lock in a separate `bundle.json`.

    Raises:
        BundleInvalid: `path` is neither a bundle nor a `bundle.json`.
        OSError: the file cannot be read.
    """
    if path.is_file():
        with BufferedReader(_open(path)) as file:
            first = file.read(1)
            if first == b"{" or path.suffix == ".json":
                return parse_lock(first + file.read(MAX_LOCK))
    with open_paths([path]) as opened:
        return opened.lock


def load_inventory(path: Path) -> Inventory:
    """Read an `inventory.json` or a `need.json`.

    Raises:
        BundleInvalid: the file is neither of the two, or larger than `MAX_SIZE`, or a device.
        OSError: the file cannot be read.
    """
    with BufferedReader(_open_file(path)) as file:
        # One more byte, so that a file that is too large is noticed.
        return read_inventory(file.read(MAX_SIZE + 1), str(path))


def _find_source(paths: Sequence[Path], stack: ExitStack) -> BundleSource:
    if [str(path) for path in paths] == [STDIN]:
        with suppress(UnsupportedOperation):  # it was replaced by a stream in memory
            _refuse_device(os.fstat(sys.stdin.fileno()), "stdin")
        return TarSource(sys.stdin.buffer, "stdin")
    if len(paths) == 1 and paths[0].is_dir():
        # A bundle.json next to volumes may have been copied out of one of them.
        has_lock, found = (paths[0] / "bundle.json").exists(), sorted(paths[0].glob("[!.]*.tar"))
        if has_lock and (not found or (paths[0] / "blobs").exists()):
            return FolderSource(paths[0])
        if not found:
            raise BundleInvalid(str(paths[0]), "it has neither a bundle.json nor volumes (*.tar)")
        paths = found
    if len(paths) > 1:
        for path in paths:
            if path.is_dir() or str(path) == STDIN:
                what = "a folder" if path.is_dir() else "stdin"
                why = f"{what} cannot be given together with others; give one after the other"
                raise BundleInvalid(str(path), why)
    files = [stack.enter_context(_open(path)) for path in paths]
    flaws = Flaws()
    sources = [
        # A read from a pipe may return fewer bytes than requested, unless it is buffered.
        TarSource(file if file.seekable() else BufferedReader(file), str(path), flaws)
        for path, file in zip(paths, files, strict=True)
    ]
    if len(files) == 1 and not _is_volume(files[0], str(paths[0])):
        return sources[0]
    return open_volumes(sources, flaws)


def _is_volume(file: FileIO, label: str) -> bool:
    """Whether an archive begins with `volume.json`, even if its header is damaged."""
    if not file.seekable():
        return False
    try:
        first = read_member(file, 0, label)
    except BundleInvalid:
        return _has_volume_fields(file, label)
    return first is not None and first.name == "volume.json"


def _has_volume_fields(file: FileIO, label: str) -> bool:
    """Whether the bytes after a damaged header are the content of a `volume.json`."""
    file.seek(BLOCK)
    content, _, _ = file.read(MAX_SMALL).partition(b"\0")
    try:
        parse_volume(content[: content.rfind(b"}") + 1], label)  # cut the next header off
    except BundleInvalid:
        return False
    return True


def _open(path: Path) -> FileIO:
    try:
        return _open_file(path)
    except FileNotFoundError:
        why = "it does not exist; name a bundle's file, folder or volumes"
    except OSError as error:
        why = f"it cannot be opened ({error.strerror})"
    raise BundleInvalid(str(path), why)


def _open_file(path: Path) -> FileIO:
    """Open a regular file, or a stream that the shell has opened for this command (`<(...)`).

    Opening a pipe that nobody writes to would wait without end; opening a device may change it.

    Raises:
        BundleInvalid: the path leads to anything else.
        OSError: the file cannot be opened.
    """
    state = path.stat()
    if stat.S_ISFIFO(state.st_mode) and _is_inherited(path):
        return path.open("rb", buffering=0)
    _refuse_special(state, str(path))
    file = FileIO(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    try:
        _refuse_special(os.fstat(file.fileno()), str(path))  # it may have been replaced just now
    except BundleInvalid:
        file.close()
        raise
    return file


def _is_inherited(path: Path) -> bool:
    """Whether a path names an open descriptor of this process: /dev/stdin, /dev/fd/63."""
    return Path(os.path.realpath(path)).parent == Path(f"/proc/{os.getpid()}/fd")


def _refuse_special(state: os.stat_result, label: str) -> None:
    if stat.S_ISFIFO(state.st_mode):
        raise BundleInvalid(label, "it is a named pipe; give a file, or - to read stdin")
    if stat.S_ISSOCK(state.st_mode):
        raise BundleInvalid(label, "it is a socket; give a file, or - to read stdin")
    _refuse_device(state, label)


def _refuse_device(state: os.stat_result, label: str) -> None:
    """Refuse a terminal, and a device such as /dev/zero, which has no end."""
    if stat.S_ISCHR(state.st_mode) or stat.S_ISBLK(state.st_mode):
        why = "it is a terminal or a device; copy the bundle from it to a file, and give the file"
        raise BundleInvalid(label, why)
