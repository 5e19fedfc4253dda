"""Opening a bundle by the paths that people give: a file, stdin, a folder, or volumes."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from io import BufferedReader, FileIO
from pathlib import Path

from registry.bundle.format.inventory import MAX_SIZE, Inventory, read_inventory
from registry.bundle.format.lock import MAX_LOCK, Lock, parse_lock
from registry.bundle.format.tar import BLOCK, read_member
from registry.bundle.format.volumes import parse_volume
from registry.bundle.read.head import Opened, open_bundle
from registry.bundle.read.sources import MAX_SMALL, BundleSource, FolderSource, TarSource
from registry.bundle.read.volume_source import VolumeSource
from registry.errors import BundleInvalid

STDIN = "-"


@contextmanager
def open_paths(paths: Sequence[Path]) -> Iterator[Opened]:
    """Open one bundle: a tar, `-` for stdin, a folder, volumes, or a folder with volumes.

    Raises:
        BundleInvalid: it is none.
        OSError: it cannot be read.
    """
    with ExitStack() as stack:
        yield open_bundle(_find_source(paths, stack))


def load_lock(path: Path) -> Lock:
    """Read what is in a bundle, from any of its forms or from a bare `bundle.json`.

    Raises:
        BundleInvalid: it is none of them.
        OSError: it cannot be read.
    """
    if path.is_file():
        with BufferedReader(_open(path)) as file:
            first = file.read(1)
            if first == b"{" or path.suffix == ".json":
                return parse_lock(first + file.read(MAX_LOCK))
    with open_paths([path]) as opened:
        return opened.lock


def load_inventory(path: Path) -> Inventory:
    """Read an inventory or a need; of a file that is too large, no more than says so.

    Raises:
        BundleInvalid: it is neither.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return read_inventory(file.read(MAX_SIZE + 1), str(path))


def _find_source(paths: Sequence[Path], stack: ExitStack) -> BundleSource:
    if [str(path) for path in paths] == [STDIN]:
        return TarSource(sys.stdin.buffer, "stdin")
    if len(paths) == 1 and paths[0].is_dir():
        # Whoever looked into a volume may have left its bundle.json beside the volumes.
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
    media = [_open_tar(path, stack) for path in paths]
    if len(media) == 1 and not media[0][1]:
        return media[0][0]
    return VolumeSource([source for source, _ in media])


def _open_tar(path: Path, stack: ExitStack) -> tuple[TarSource, bool]:
    """Open an archive, and tell whether it is a volume: those begin with `volume.json`."""
    file = stack.enter_context(_open(path))
    if not file.seekable():  # a pipe gives less than is asked for
        return TarSource(BufferedReader(file), str(path)), False
    try:
        first = read_member(file, 0, str(path))
        is_volume = first is not None and first.name == "volume.json"
    except BundleInvalid:
        is_volume = _begins_like_volume(file, str(path))
    return TarSource(file, str(path)), is_volume


def _begins_like_volume(file: FileIO, label: str) -> bool:
    """Whether a `volume.json` follows a header that is damaged: then it is no whole bundle."""
    file.seek(BLOCK)
    content, _, _ = file.read(MAX_SMALL).partition(b"\0")
    try:
        parse_volume(content[: content.rfind(b"}") + 1], label)  # without a header that follows
    except BundleInvalid:
        return False
    return True


def _open(path: Path) -> FileIO:
    try:
        return path.open("rb", buffering=0)
    except FileNotFoundError:
        why = "is not there; name a bundle's file, folder or volumes"
    except OSError as error:
        why = f"cannot be opened ({error.strerror})"
    raise BundleInvalid(str(path), why)
