"""How fast a bundle is imported, beside hashing the same file, and in how much memory."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from registry.bundle.format.head_files import write_head
from registry.bundle.write.layout import Contents, list_whole
from registry.bundle.write.writer import write_file
from tests.harness.bundles import plan_bundle
from tests.harness.filled_folder import open_filled

MIB = 1024 * 1024
APP = "docker.io/library/app:1"
CASES = [
    pytest.param(256, 0.35, marks=pytest.mark.programs),
    pytest.param(4096, 0.7, marks=[pytest.mark.soak, pytest.mark.timeout(1800)]),
]
MEMORY = 100 * MIB
# Runs a command, and says at its end how many KiB it took at most (proc(5), VmHWM).
PROGRAM = """
import atexit, pathlib, sys
place = pathlib.Path(sys.argv.pop())
peak = lambda: pathlib.Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]
atexit.register(lambda: place.write_text(peak()))
from registry.__main__ import run
run()
"""


async def make_bundle(folder: Path, size: int) -> Path:
    """A bundle of an image with eight layers, `size` MiB together, written as commands do."""
    path = folder / "b.tar"
    async with open_filled(folder / "here") as here:
        chance = random.Random(size)
        layers = [b"".join(chance.randbytes(MIB) for _ in range(size // 8)) for _ in range(8)]
        await here.put_image(APP, layers)
        plan = await plan_bundle(here, [APP])
        contents = Contents(
            write_head(plan.lock, plan.manifests), list_whole(plan.lock), here.store
        )
        await write_file(contents, path, lambda _: None)
    return path


def measure(*words: str) -> float:
    """The seconds that a command takes, its start included."""
    began = time.monotonic()
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


@pytest.mark.alone
@pytest.mark.parametrize(("size", "bar"), CASES)
async def test_importing_is_nearly_as_fast_as_hashing(
    tmp_path: Path, note: Callable[[str], None], size: int, bar: float
) -> None:
    """An import reads, hashes, writes and syncs in little more time than sha256sum reads."""
    bundle = await make_bundle(tmp_path, size)
    config = tmp_path / "entrepot.toml"
    config.write_text(f'[storage]\npath = "{tmp_path / "there"}"\n')
    async with open_filled(tmp_path / "there"):
        pass
    os.sync()

    hashing = measure("sha256sum", str(bundle))
    words = ("bundle", "import", str(bundle), "--config", str(config), str(tmp_path / "peak"))
    importing = measure(sys.executable, "-c", PROGRAM, *words)
    peak = int((tmp_path / "peak").read_text()) * 1024

    ratio = hashing / importing
    note(f"{size} MiB: sha256sum {hashing:.2f} s, import {importing:.2f} s, {ratio:.2f} x;")
    note(f"at most {peak / MIB:.0f} MiB of memory")
    assert ratio > bar
    assert peak < MEMORY
