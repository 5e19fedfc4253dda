"""Opening a bundle by paths of the command line: a file, stdin, a folder, or volumes."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from io import BufferedReader, FileIO
from pathlib import Path

from registry.bundle.format.inventory import MAX_SIZE, Inventory, read_inventory
from registry.bundle.format.lock import MAX_LOCK, Lock, parse_lock
from registry.bundle.format.tar import BLOCK
from registry.bundle.format.volumes import parse_volume
from registry.bundle.read.folder_source import FolderSource
from registry.bundle.read.head import Opened, open_bundle
from registry.bundle.read.sources import MAX_SMALL, BundleSource, Flaws, TarSource, read_member
from registry.bundle.read.volume_source import open_volumes
from registry.errors import BundleInvalid, FileUnreadable

STDIN = "-"
_CURE = "name a bundle's file, folder or volumes"


@contextmanager
def open_paths(paths: Sequence[Path]) -> Iterator[Opened]:
    """Open one bundle: a tar, `-` for stdin, a folder, volumes, or a folder with volumes.

    If one of several volumes cannot be opened, this is noted as a flaw, and the others are read.

    Raises:
        FileUnreadable: none of the paths can be opened.
        BundleInvalid: the paths are not one bundle, or the bundle cannot be used.
    """
    with ExitStack() as stack:
        with _translate(paths[0]):
            source = _find_source(paths, stack)
        yield open_bundle(source)


def load_lock(path: Path) -> Lock:
    """Read the lock of a bundle in any form, or the lock in a separate `bundle.json`.

    Raises:
        FileUnreadable: the file or folder cannot be opened.
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
        FileUnreadable: the file cannot be read.
        BundleInvalid: the file is neither of the two, or larger than `MAX_SIZE`.
    """
    with _translate(path, "name an inventory.json or a need.json"), path.open("rb") as file:
        raw = file.read(MAX_SIZE + 1)  # one more byte, so that a larger file is noticed
    return read_inventory(raw, str(path))


def _find_source(paths: Sequence[Path], stack: ExitStack) -> BundleSource:
    if [str(path) for path in paths] == [STDIN]:
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
    flaws = Flaws()
    files = _open_all(paths, stack, flaws)
    sources = [
        # A read from a pipe may return fewer bytes than requested, unless it is buffered.
        TarSource(file if file.seekable() else BufferedReader(file), label, flaws)
        for label, file in files
    ]
    if len(paths) == 1 and not _is_volume(files[0][1], files[0][0]):
        return sources[0]
    return open_volumes(sources, flaws)


def _open_all(paths: Sequence[Path], stack: ExitStack, flaws: Flaws) -> list[tuple[str, FileIO]]:
    """Open files, and return them with their labels; those that cannot be opened are flaws.

    Raises:
        FileUnreadable: none of them can be opened.
    """
    files: list[tuple[str, FileIO]] = []
    refused: list[FileUnreadable] = []
    for path in paths:
        try:
            files.append((str(path), stack.enter_context(_open(path))))
        except FileUnreadable as error:
            refused.append(error)
    if not files:
        raise refused[0]
    for each in refused:
        flaws.note(BundleInvalid(each.path, f"cannot be read ({each.why})"))
    return files


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
    with _translate(path):
        return path.open("rb", buffering=0)


@contextmanager
def _translate(path: Path, cure: str = _CURE) -> Iterator[None]:
    """Turn each `OSError` of the body into a `FileUnreadable`."""
    try:
        yield
    except OSError as error:
        raise FileUnreadable(str(error.filename or path), error, cure) from error
