"""Another program has taken every byte of the disk: the store can still be used, and emptied."""

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry.catalog.spare import SIZE as SPARE
from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream, Image
from tests.faults.consistency import await_consistency
from tests.faults.full_disk import fill_up, kept_full, measure_free, mount_disk
from tests.harness.bundles import write_bundle
from tests.harness.commands import run_command
from tests.harness.filled_folder import open_filled
from tests.harness.large_layer import MIB
from tests.harness.mirror import MirrorProcess
from tests.integration.wire import fetch, wait_until

DISK, RESERVE = 44 * MIB, 2 * MIB
APP = "docker.io/library/app:1"
# Each write to the catalog takes 10 ms, and each rename 400 ms, as on a slow disk.
SLOW = (
    *("-f", "-q", "--seccomp-bpf", "-o", "/dev/null"),
    *("-e", "trace=pwrite64,rename,renameat,renameat2"),
    *("-e", "inject=pwrite64:delay_exit=10000"),
    *("-e", "inject=rename,renameat,renameat2:delay_exit=400000"),
)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """The data folder of the first mirror, on a file system of 44 MiB."""
    with mount_disk(tmp_path / "mirror-0" / "data", "44m") as folder:
        yield folder


@pytest.fixture
def images(hub: FakeUpstream) -> list[Image]:
    """Three images, of 10 MiB each."""
    chance = random.Random(7)
    return [hub.add_image(f"some/i{n}", "1", [chance.randbytes(10 * MIB)]) for n in range(3)]


@pytest.fixture
def mirror(make_mirror: MirrorMaker, disk: Path, images: list[Image]) -> MirrorProcess:
    """A mirror that has all images and is stopped, on a disk that is full now."""
    storage = {"reserve": RESERVE, "audit_rate": 0}
    mirror = make_mirror({"storage": storage, "tags": {"fresh_for": "1h"}})
    for image in images:
        assert all(status == 200 for status in pull(mirror, image))
    await_consistency(disk)
    assert mirror.stop() == 0
    fill_up(disk / "filler")
    assert measure_free(disk) == 0
    return mirror


def pull(mirror: MirrorProcess, image: Image) -> list[int]:
    base = f"{mirror.url}/v2/{image.repository}"
    paths = ["manifests/1", *(f"blobs/{digest}" for digest in image.blobs)]
    return [fetch(f"{base}/{path}").status for path in paths]


COMMANDS = (
    ("images", "rm", "some/i0:1"),
    ("cache", "evict", "--to", "15MiB"),
    ("images", "pin", "some/i0:1"),
    ("cache", "audit"),
    ("cache", "stats"),
    ("images", "ls"),
    ("images", "show", "some/i0:1"),
    ("images", "unpin", "some/i0:1"),
)


@pytest.mark.parametrize("is_taken_again", [False, True])
def test_every_command_works_on_a_full_disk(
    mirror: MirrorProcess, disk: Path, is_taken_again: bool
) -> None:
    """Each command, run alone on the full disk, does what it does on another disk.

    Also if the other program takes what the command releases, between two commands.
    """
    for words in (COMMANDS[2], *COMMANDS[3:], *COMMANDS[:2]):
        done = mirror.run(*words)
        assert done.returncode == 0, (words, done.stderr)
        if is_taken_again and words not in COMMANDS[:2]:
            fill_up(disk / "filler")
    (disk / "filler").unlink()
    assert json.loads(mirror.run("cache", "stats", "--json").stdout)["use"]["blobs"] < 16 * MIB
    await_consistency(disk)


def test_commands_find_room_beside_a_greedy_program(mirror: MirrorProcess, disk: Path) -> None:
    """Even if every released byte is taken at once, blobs can be deleted."""
    with kept_full(disk / "filler"):
        done = mirror.run("cache", "evict", "--to", "15MiB")
    assert done.returncode == 0, done.stderr


def test_the_reserve_is_restored_without_a_download(
    mirror: MirrorProcess, disk: Path, images: list[Image]
) -> None:
    """A mirror that starts on the full disk evicts what was not pulled for the longest time."""
    mirror.start()
    wait_until(lambda: measure_free(disk) >= RESERVE, "the reserve is free again")
    wait_until(lambda: (disk / "catalog.db.spare").stat().st_size == SPARE, "so are spare bytes")
    assert pull(mirror, images[2]) == [200] * 3
    assert mirror.run("images", "pin", "some/i2:1").returncode == 0
    assert mirror.events("cannot start: every worker died at once; the lines above say why") == []
    await_consistency(disk)


def test_what_is_pinned_stays_on_a_full_disk(
    mirror: MirrorProcess, disk: Path, images: list[Image]
) -> None:
    """If too little can be evicted for the reserve, nothing is: the log says what is missing."""
    for image in images:
        assert mirror.run("images", "pin", f"{image.repository}:1").returncode == 0
    mirror.start()
    wait_until(lambda: mirror.events("reserve not free"), "the log says so")
    assert [pull(mirror, image) for image in images] == [[200] * 3] * 3
    assert len(list((disk / "blobs").glob("*/*/*"))) == 9


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
@pytest.mark.parametrize("is_slow", [False, pytest.param(True, marks=pytest.mark.programs)])
async def test_an_import_counts_the_room_once(tmp_path: Path, disk: Path, is_slow: bool) -> None:
    """Two layers of 24 and 8 MiB fit into 44 MiB, however long the disk takes in between."""
    bundle = await write_layers(tmp_path)
    config = tmp_path / "entrepot.toml"
    config.write_text(f'[storage]\npath = "{disk}"\nreserve = "{RESERVE}"\n')
    words = ("bundle", "import", str(bundle), "--config", str(config))
    need = ("--need", str(tmp_path / "need.json"))
    if is_slow:
        command = ["strace", *SLOW, sys.executable, "-m", "registry", *words, *need]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)  # noqa: ASYNC221
    else:
        done = run_command(*words, *need)
    warning, made = done.stderr.splitlines()
    assert (done.returncode, made) == (0, f"entrepot: made the data folder {disk}")
    assert "the bundle is not signed" in warning
    assert len(list((disk / "blobs").glob("*/*/*"))) == 4


async def write_layers(tmp_path: Path) -> Path:
    """Write a bundle of an image with two large layers."""
    chance = random.Random(8)
    async with open_filled(tmp_path / "here") as here:
        await here.put_image(APP, [chance.randbytes(24 * MIB), chance.randbytes(8 * MIB)])
        (tmp_path / "b.tar").write_bytes(await write_bundle(here, [APP]))
    return tmp_path / "b.tar"
