"""Small file systems, and programs that take all of their space."""

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)


@contextmanager
def mount_disk(folder: Path, size: str) -> Iterator[Path]:
    """Mount an empty file system of this size; only root can, and elsewhere the test is skipped."""
    if os.geteuid() != 0 and not os.environ.get("CI"):
        pytest.skip("needs root: mounts a tmpfs")
    folder.mkdir(parents=True)
    mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder))
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def measure_free(folder: Path) -> int:
    """How many bytes of the file system are free."""
    state = os.statvfs(folder)
    return state.f_bavail * state.f_frsize


def fill_up(filler: Path) -> None:
    """Write until not another byte can be written."""
    with filler.open("ab", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass


@contextmanager
def kept_full(filler: Path) -> Iterator[None]:
    """Another program takes all free space, now and as soon as there is more."""
    fill_up(filler)
    ended = threading.Event()

    def take_on() -> None:
        while not ended.wait(0.005):
            fill_up(filler)

    taking = threading.Thread(target=take_on)
    taking.start()
    try:
        yield
    finally:
        ended.set()
        taking.join()
        filler.unlink()
