"""kill -9 of an import at any moment: the next one goes on, and the end is the same."""

import hashlib
import json
import random
import signal
import time
from pathlib import Path

import pytest

from tests.harness.bundles import write_bundle, write_volumes
from tests.harness.commands import run_command, start_command
from tests.harness.filled_folder import open_filled
from tests.harness.sizes import list_sizes

SEED = 26
VOLUME_SPAN = 0.1  # seconds after the first bytes of a volume in which its import is killed
NAMES = ("docker.io/library/app:1", "docker.io/library/tool:2")
KILLS = list_sizes(long=4, full=50, seconds=1800)
SEEDS = list_sizes(long=(range(1, 4),), full=(range(4, 20),), seconds=1800)


def read_content(data: Path) -> dict[str, str]:
    """What is stored: every blob with the digest of its bytes, and what each tag leads to."""
    blobs = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (data / "blobs").glob("*/*/*")
    }
    tags = {
        str(path.relative_to(data)): json.loads(path.read_bytes())["digest"]
        for path in (data / "tags").glob("**/@/tag-*")
    }
    return blobs | tags


def kill_import(bundle: Path, config: Path, data: Path, delay: float) -> bool:
    """Start an import, and kill it so many seconds after its first bytes; whether that hit it."""
    before = {*(data / "spool").iterdir(), *(data / "blobs").glob("*/*/*")}
    words = ("--config", str(config), "--need", str(config.with_name("need.json")))
    started = start_command("bundle", "import", str(bundle), *words)
    while started.poll() is None:
        if before != {*(data / "spool").iterdir(), *(data / "blobs").glob("*/*/*")}:
            time.sleep(delay)
            break
        time.sleep(0.001)
    started.send_signal(signal.SIGKILL)
    return started.wait() == -signal.SIGKILL


def measure_import(bundle: Path, data: Path) -> float:
    """Import into an empty data folder, and return the seconds from the first bytes to the end."""
    config = data.with_suffix(".toml")
    config.write_text(f'[storage]\npath = "{data}"\n')
    began = 0.0
    started = start_command("bundle", "import", str(bundle), "--config", str(config))
    while started.poll() is None:
        if not began and any((data / "spool").iterdir()):
            began = time.monotonic()
        time.sleep(0.001)
    assert started.wait() == 0
    return time.monotonic() - began


@pytest.mark.parametrize("kills", KILLS)
async def test_an_import_survives_kills(tmp_path: Path, kills: int) -> None:
    """Whenever it is killed nothing wrong is stored, and importing again brings all of it."""
    chance = random.Random(SEED)
    async with open_filled(tmp_path / "here") as here:
        shared = chance.randbytes(2_000_000)
        for name in NAMES:
            await here.put_image(name, [shared, *(chance.randbytes(3_000_000) for _ in range(4))])
        bundle = tmp_path / "b.tar"
        bundle.write_bytes(await write_bundle(here, NAMES))
    wanted = read_content(tmp_path / "here")
    async with open_filled(tmp_path / "measured"):
        pass
    span = measure_import(bundle, tmp_path / "measured")
    hits = 0
    for number in range(kills):
        data = tmp_path / f"there-{number}"
        async with open_filled(data):
            pass
        config = tmp_path / "entrepot.toml"
        config.write_text(f'[storage]\npath = "{data}"\n')
        for _ in range(2):
            hits += kill_import(bundle, config, data, chance.random() * span / 2)
            found = read_content(data)
            assert found.items() <= wanted.items()
        done = run_command("bundle", "import", str(bundle), "--config", str(config), "--json")
        assert done.returncode == 0, done.stderr
        assert wanted == read_content(data)
        assert not [*(data / "spool").iterdir()]
    assert hits


@pytest.mark.parametrize("seeds", SEEDS)
async def test_volumes_in_any_order_survive_kills(tmp_path: Path, seeds: range) -> None:
    """One volume after the other, each killed once on its way: with the last all is here."""
    for number in seeds:
        chance, folder = random.Random(number), tmp_path / str(number)
        folder.mkdir()
        async with open_filled(folder / "here") as here:
            await here.put_image(NAMES[0], [chance.randbytes(size) for size in (9_000_000, 1000)])
            volumes = await write_volumes(here, NAMES[:1], folder, 4_000_000)
        chance.shuffle(volumes)
        wanted, data, config = read_content(folder / "here"), folder / "there", folder / "e.toml"
        async with open_filled(data):
            pass
        config.write_text(f'[storage]\npath = "{data}"\n')
        for path in volumes:
            kill_import(path, config, data, chance.random() * VOLUME_SPAN)
            assert read_content(data).items() <= wanted.items()
            words = ("--config", str(config), "--need", str(folder / "need.json"), "--json")
            done = run_command("bundle", "import", str(path), *words)
            assert (done.returncode == 0) == (path == volumes[-1]), done.stderr + done.stdout
        assert wanted == read_content(data)
        assert not [*(data / "spool").iterdir()]
