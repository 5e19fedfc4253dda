"""kill -9 in the middle of writing a bundle: it goes on, and the bytes are the same."""

import asyncio
import json
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.harness.commands import run_command, start_command
from tests.harness.deadline import await_truth
from tests.harness.filled_folder import open_filled
from tests.harness.large_layer import MIB
from tests.harness.sizes import list_sizes

SEED = 50
SPAN = 0.2  # seconds of writing within which it is killed
KILLS = list_sizes(long=8, full=50, seconds=900)


async def put_images(data: Path, chance: random.Random) -> None:
    async with open_filled(data) as filled:
        for number in range(6):
            layers = [chance.randbytes(8 * MIB), chance.randbytes(100)]
            await filled.put_image(f"docker.io/team/i{number}:1", layers)


def is_open(pid: int, path: Path) -> bool:
    with suppress(OSError):  # it ended, or closed one just now
        return any(each.readlink() == path for each in Path(f"/proc/{pid}/fd").iterdir())
    return False


@pytest.mark.parametrize("kills", KILLS)
def test_writing_survives_kills(tmp_path: Path, note: Callable[[str], None], kills: int) -> None:
    """Whenever it is killed, no half bundle has the name, and the last run makes the same bytes."""
    chance = random.Random(SEED)
    asyncio.run(put_images(tmp_path / "data", chance))
    config = tmp_path / "entrepot.toml"
    config.write_text(f"storage.path = {json.dumps(str(tmp_path / 'data'))}\n")
    whole, tar = tmp_path / "whole.tar", tmp_path / "b.tar"
    part = tmp_path / "b.tar.part"
    create = ("bundle", "create", "docker.io/team/*", "--config", str(config), "-o")
    assert run_command(*create, str(whole)).returncode == 0
    expected = whole.read_bytes()

    found = []
    for _ in range(kills):
        process = start_command(*create, str(tar))
        await_truth(lambda p=process: p.poll() is not None or is_open(p.pid, part))
        time.sleep(chance.random() * SPAN)
        process.send_signal(signal.SIGKILL)
        process.wait()
        if tar.exists():
            assert expected == tar.read_bytes()
            found.append("whole")
            tar.unlink()
        elif part.exists():
            found.append(f"{part.stat().st_size / MIB:.1f}")
    assert run_command(*create, str(tar)).returncode == 0

    note(f"seed {SEED}, {kills} kills, found then (MiB): {' '.join(found)}")
    assert expected == tar.read_bytes()
    assert not part.exists()
