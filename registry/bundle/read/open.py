"""Opening a bundle by paths of the command line: a file, stdin, a folder, or volumes."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from io import BufferedReader, FileIO, UnsupportedOperation
from pathlib import Path

from registry.bundle.format.inventory import MAX_SIZE, Inventory, name_option, read_inventory
from registry.bundle.format.lock import MAX_LOCK, Lock, parse_lock
from registry.bundle.read.flaws import Flaws
from registry.bundle.read.folder_source import FolderSource
from registry.bundle.read.head import Opened, open_bundle
from registry.bundle.read.sources import BundleSource, TarSource
from registry.bundle.read.tar_kinds import (
    is_tar_name,
    is_volume,
    is_whole_bundle,
    looks_like_volume,
)
from registry.bundle.read.volume_source import open_volumes
from registry.errors import BundleInvalid, FileUnreadable
from registry.settings.named_files import SpecialFile, open_regular, refuse_device

STDIN = "-"
_INSTALL_ARCHIVES = ("entrepot-wheels-", "entrepot-image-")  # of make wheelhouse and make image
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
                return _parse_file(path, first + file.read(MAX_LOCK))
    with open_paths([path]) as opened:
        return opened.lock


def _parse_file(path: Path, raw: bytes) -> Lock:
    """Parse a separate `bundle.json`; an error names the file, and the option of another list."""
    try:
        return parse_lock(raw)
    except BundleInvalid as error:
        why = error.why
        if option := name_option(raw):
            kind = "an inventory of what is stored" if option == "--have" else "a need.json"
            why = f"it is {kind}, and no bundle; use it with {option}"
        raise BundleInvalid(str(path), why) from error


def load_document(path: Path) -> Lock | Inventory | None:
    """Read a separate `bundle.json`, `inventory.json` or `need.json`; None for any other file.

    Raises:
        FileUnreadable: the file cannot be opened.
        BundleInvalid: the file is JSON, and none of the three.
        OSError: the file cannot be read.
    """
    if not path.is_file():
        return None
    with BufferedReader(_open(path)) as file:
        if file.peek(1)[:1] != b"{":
            return None
        raw = file.read(MAX_SIZE + 1)  # one more byte, so that a larger file is noticed
    return read_inventory(raw, str(path)) if name_option(raw) else _parse_file(path, raw)


def load_inventory(path: Path) -> Inventory:
    """Read an `inventory.json` or a `need.json`.

    Raises:
        FileUnreadable: the file cannot be read.
        BundleInvalid: the file is neither of the two, or larger than `MAX_SIZE`, or a device.
    """
    cure = "name an inventory.json or a need.json"
    with _translate(path, cure), BufferedReader(open_regular(path)) as file:
        raw = file.read(MAX_SIZE + 1)  # one more byte, so that a larger file is noticed
    return read_inventory(raw, str(path))


def _find_source(paths: Sequence[Path], stack: ExitStack) -> BundleSource:
    if [str(path) for path in paths] == [STDIN]:
        with suppress(UnsupportedOperation):  # it was replaced by a stream in memory
            refuse_device(os.fstat(sys.stdin.fileno()), "stdin")
        return TarSource(sys.stdin.buffer, "stdin")
    if len(paths) == 1 and paths[0].is_dir():
        return _find_in_folder(paths[0], stack)
    if len(paths) > 1:
        for path in paths:
            if path.is_dir() or str(path) == STDIN:
                what = "a folder" if path.is_dir() else "stdin"
                why = f"{what} cannot be given together with others; give one after the other"
                raise BundleInvalid(str(path), why)
    return _open_tars(paths, stack)


def _find_in_folder(folder: Path, stack: ExitStack) -> BundleSource:
    """Open a bundle in a folder, or the volumes or the one tar in it; other tars are ignored."""
    tars = [path for path in sorted(folder.iterdir()) if is_tar_name(path.name)]
    # A bundle.json next to volumes may have been copied out of one of them.
    if (folder / "bundle.json").exists() and (not tars or (folder / "blobs").exists()):
        return FolderSource(folder)
    files = [path for path in tars if path.is_file()]
    chosen = [path for path in files if looks_like_volume(path)]
    if not chosen:
        # If the only tar is damaged at its beginning, opening it says so.
        chosen = files if len(tars) == 1 else [path for path in files if is_whole_bundle(path)]
    if len(chosen) > 1 and not looks_like_volume(chosen[0]):
        names = ", ".join(path.name for path in chosen[:5])
        raise BundleInvalid(str(folder), f"it has several bundles ({names}); name one of them")
    if not chosen:
        others = f"; not of a bundle: {', '.join(path.name for path in tars[:5])}" if tars else ""
        why = f"it has neither a bundle.json nor volumes (*.tar){others}"
        raise BundleInvalid(str(folder), why)
    source = _open_tars(chosen, stack)
    source.ignored = tuple(path for path in tars if path not in chosen)
    return source


def _open_tars(paths: Sequence[Path], stack: ExitStack) -> BundleSource:
    """Open one whole bundle, or the volumes of one."""
    for path in paths:
        if path.name.startswith(_INSTALL_ARCHIVES):
            raise BundleInvalid(str(path), f"it installs Entrepôt, and is no bundle; {_CURE}")
    flaws = Flaws()
    files = _open_all(paths, stack, flaws)
    sources = [
        # A read from a pipe may return fewer bytes than requested, unless it is buffered.
        TarSource(file if file.seekable() else BufferedReader(file), label, flaws)
        for label, file in files
    ]
    if len(paths) == 1 and not is_volume(files[0][1], files[0][0]):
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


def _open(path: Path) -> FileIO:
    with _translate(path):
        return open_regular(path)


def _refuse(special: SpecialFile) -> BundleInvalid:
    cure = "copy the bundle from it to a file, and give the file"
    if special.kind in ("a named pipe", "a socket"):
        cure = "give a file, or - to read stdin"
    return BundleInvalid(str(special.filename), f"it is {special.kind}; {cure}")


@contextmanager
def _translate(path: Path, cure: str = _CURE) -> Iterator[None]:
    """Turn each `OSError` of the body into a `FileUnreadable`, or for no file `BundleInvalid`."""
    try:
        yield
    except SpecialFile as error:
        raise _refuse(error) from error
    except OSError as error:
        raise FileUnreadable(str(error.filename or path), error, cure) from error
