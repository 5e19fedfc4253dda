"""Files and folders that other users of this machine can read, although they should not."""

import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from registry.settings.model import Settings
from registry.settings.values import format_key, mask_proxy

_CHANGE = stat.S_IROTH | stat.S_IWOTH  # of a file: who can write it can replace a password


def list_exposed(settings: Settings, file: Path | None) -> Iterator[str]:
    """Yield a line for each secret, and for the data folder, that other users can read or change.

    They can if its mode lets everybody, and so do the modes of all folders above it. In a container
    there may be no other users; then a line does no harm. `file` is the settings file, if any.
    """
    secrets = {"server.tls_key": settings.server.tls_key}
    for name, upstream in settings.upstreams.items():
        secrets[format_key(("upstreams", name, "password_file"))] = upstream.password_file
        if file is not None and mask_proxy(upstream.proxy) != upstream.proxy:
            secrets[format_key(("upstreams", name, "proxy"))] = str(file)
    for key, path in secrets.items():
        if path and _is_open(Path(path), _CHANGE):
            yield f"{key}: other users can read or change {path}; forbid it: chmod 600 {path}"
    yield from (f"storage.path: {each}" for each in list_exposed_images(settings.storage.path))


def list_exposed_images(folder: Path) -> Iterator[str]:
    """Yield a line if other users can read the images in a data folder or a backup."""
    if _is_open(folder, stat.S_IXOTH):
        yield f"other users can read the images in {folder}; forbid it: chmod 700 {folder}"


def _is_open(path: Path, wanted: int) -> bool:
    """Whether the mode of a file or folder has one of `wanted`, and everybody may go there."""
    try:
        return bool(path.stat().st_mode & wanted) and all(
            folder.stat().st_mode & stat.S_IXOTH for folder in _list_folders(path)
        )
    except OSError:  # it does not exist, or this user cannot go there either
        return False


def _list_folders(path: Path) -> Sequence[Path]:
    """Return the folders above the file that a path leads to."""
    return path.resolve().parents
