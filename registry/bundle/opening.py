"""Opening a bundle by the paths that people give: a file, stdin, a folder, or volumes."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from registry.bundle.archive import read_member
from registry.bundle.medium import FolderMedium, Medium, TarMedium, VolumesMedium
from registry.bundle.reading import Opened, open_bundle
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
        yield open_bundle(_find_medium(paths, stack))


def _find_medium(paths: Sequence[Path], stack: ExitStack) -> Medium:
    if [str(path) for path in paths] == [STDIN]:
        return TarMedium(sys.stdin.buffer, "stdin")
    if len(paths) == 1 and paths[0].is_dir():
        if (paths[0] / "bundle.json").exists():
            return FolderMedium(paths[0])
        paths = sorted(paths[0].glob("*.tar"))
        if not paths:
            raise BundleInvalid("the folder", "it has neither a bundle.json nor volumes")
    media = [_open_tar(path, stack) for path in paths]
    if all(is_volume for _, is_volume in media):
        return VolumesMedium([medium for medium, _ in media])
    if len(media) > 1:
        whole = next(medium.label for medium, is_volume in media if not is_volume)
        raise BundleInvalid(whole, "it is no volume; give one bundle, or volumes of one")
    return media[0][0]


def _open_tar(path: Path, stack: ExitStack) -> tuple[TarMedium, bool]:
    """Open an archive, and tell whether it is a volume: those begin with `volume.json`."""
    file = stack.enter_context(path.open("rb"))
    first = read_member(file, 0, str(path)) if file.seekable() else None
    return TarMedium(file, str(path)), first is not None and first.name == "volume.json"
