"""Looking at the data folder and its disk, as `entrepot doctor` does."""

import os
import time
from contextlib import suppress
from pathlib import Path

from registry.catalog.audits import Pass
from registry.catalog.preparation import is_missing, is_sound
from registry.errors import EntrepotError
from registry.reports.doctor.machine import DiskFacts
from registry.settings.model import Settings
from registry.store.data_folder import DataFolder
from registry.wiring.content import open_content

_MOUNTS = Path("/proc/self/mounts")


def measure_disk(path: Path, used: int | None) -> DiskFacts:
    """Return what the file system of a data folder says; a small file is written and deleted.

    Raises:
        OSError: the file system does not say it.
    """
    state = os.statvfs(path)
    total, free = state.f_blocks * state.f_frsize, state.f_bavail * state.f_frsize
    # Such as Btrfs, which makes inodes when they are needed.
    inodes = (state.f_files, state.f_favail) if state.f_files else None
    kind = find_file_system(path, _MOUNTS.read_text(errors="replace"))
    why, began = "", time.monotonic()
    try:
        _write_and_sync(path / f".probe-{os.getpid()}")
    except OSError as error:
        why = error.strerror or str(error)
    taken = time.monotonic() - began
    return DiskFacts(str(path), kind, total, free, used, inodes, taken, why)


def _write_and_sync(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            os.write(descriptor, b"x" * 4096)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    finally:
        with suppress(OSError):
            path.unlink()


def find_file_system(path: Path, mounts: str) -> str:
    r"""Return the type of the file system that a path is on, by the lines of `/proc/mounts`. Pure.

    Blanks in paths are written as `\040` there.
    """
    found, longest = "an unknown file system", -1
    for line in mounts.splitlines():
        words = line.split()
        if len(words) < 3:
            continue
        place = words[1].encode().decode("unicode_escape")
        # Of two on the same path, the later one hides the former one.
        if path.is_relative_to(place) and len(place) >= longest:
            found, longest = words[2], len(place)
    return found


def check_catalog(folder: DataFolder, seconds: float) -> bool | None:
    """Return whether the catalog is sound; None if there was no time to read all of it.

    Raises:
        OSError: the disk refused.
    """
    if folder.lost.exists() or is_missing(folder.catalog):
        return False
    began = time.monotonic()
    sound = is_sound(folder.catalog, seconds)
    return None if sound and time.monotonic() - began >= seconds else sound


async def read_audit(settings: Settings) -> tuple[Pass, int] | None:
    """Return the last audit in the background, and how many bytes are used; None: not known."""
    try:
        async with open_content(settings) as content:
            return content.usage.list_audits()["background"], content.usage.count_used()
    except EntrepotError:
        return None  # the check of the catalog says why
