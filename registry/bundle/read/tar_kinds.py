"""What a tar is, by its beginning: a volume, a whole bundle, or a file of somebody else."""

import re
import tarfile
from io import FileIO
from pathlib import Path

from registry.bundle.format.tar import BLOCK
from registry.bundle.format.volumes import parse_volume
from registry.bundle.read.sources import MAX_SMALL, TarSource, read_head, read_member
from registry.errors import BundleInvalid

_VOLUME = "volume.json"
_FIRST_OF_BUNDLE = "oci-layout"
_VOLUME_NAME = re.compile(r".*-[0-9]{4}-of-[0-9]{4}\.tar", re.IGNORECASE)


def is_tar_name(name: str) -> bool:
    """Whether a file is a tar by its name; files of desktops, such as `._a.tar`, are not."""
    return name.lower().endswith(".tar") and not name.startswith(".")


def is_volume(file: FileIO, label: str) -> bool:
    """Whether an archive begins with `volume.json`, even if its header is damaged."""
    if not file.seekable():
        return False
    try:
        first = read_member(file, 0, label)
    except BundleInvalid:
        return _has_volume_fields(file, label)
    return first is not None and first.name == _VOLUME


def looks_like_volume(path: Path) -> bool:
    """Whether a file in a folder is a volume, even a damaged one; false for other archives.

    A file that cannot be read is one if its name says so.
    """
    is_named_so = _VOLUME_NAME.fullmatch(path.name) is not None
    try:
        name = _read_first_name(path)
        if name is not None:
            return name == _VOLUME
        with path.open("rb", buffering=0) as file:
            return is_named_so or _has_volume_fields(file, str(path))
    except OSError:  # opening it with the other volumes says why
        return is_named_so


def is_whole_bundle(path: Path) -> bool:
    """Whether a file begins, byte for byte, as a bundle in one tar does."""
    try:
        with path.open("rb") as file:
            first = read_member(file, 0, str(path))
            if first is None or first.name != _FIRST_OF_BUNDLE:
                return False
            head, _ = read_head(TarSource(file, str(path)))
    except (BundleInvalid, OSError):
        return False
    return "bundle.json" in head


def _read_first_name(path: Path) -> str | None:
    """Return the name of the first file in an archive; None if there is no right header."""
    with path.open("rb") as file:
        block = file.read(BLOCK)
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape").name
    except (tarfile.HeaderError, ValueError):
        return None


def _has_volume_fields(file: FileIO, label: str) -> bool:
    """Whether the bytes after a damaged header are the content of a `volume.json`."""
    file.seek(BLOCK)
    content, _, _ = file.read(MAX_SMALL).partition(b"\0")
    try:
        parse_volume(content[: content.rfind(b"}") + 1], label)  # cut the next header off
    except BundleInvalid:
        return False
    return True
