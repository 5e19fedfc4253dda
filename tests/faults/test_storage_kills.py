"""kill -9 of all processes at any moment: catalog and disk agree again, every answer is right."""

import json
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream, Image
from tests.faults.consistency import await_consistency
from tests.faults.held_command import HeldCommand
from tests.faults.load import Load
from tests.harness.large_layer import KIB, MIB
from tests.harness.mirror import MirrorProcess
from tests.harness.sizes import list_sizes
from tests.integration.wire import wait_until

SEED = 15
IMAGES = 12
LAYERS = (32 * KIB, 256 * KIB, MIB)
ROOM = 6 * MIB  # of the 15 that all images take
WARM = 4  # pulls between a restart and a check of the catalog
SPAN = 0.25  # seconds of work within which everything is killed, mostly in the first of them
KILLS = list_sizes(long=12, full=180, seconds=1800)


@dataclass
class KillLoop:
    """A mirror that is killed again and again, and what was measured."""

    mirror: MirrorProcess
    images: list[Image]
    chance: random.Random
    pulled: int = 0
    slowest: float = 0.0  # seconds until catalog and disk agreed
    fullest: int = 0  # bytes on the disk when it was killed
    commands: Counter[str] = field(default_factory=Counter)
    interrupted: Counter[str] = field(default_factory=Counter)

    def prepare_command(self, number: int) -> HeldCommand | None:
        """Prepare a command that an operator runs beside the pulls; None now and then."""
        image = f"{self.chance.choice(self.images).repository}:1"
        commands: list[tuple[str, ...]] = [
            ("images", "pin", image),
            ("cache", "audit", "--json"),
            ("images", "rm", image),
            ("cache", "evict", "--to", "2MiB"),
            ("images", "unpin", "*"),
            (),
        ]
        words = commands[number % len(commands)]
        return HeldCommand(self.mirror.config, *words) if words else None

    def load(self) -> Load:
        return Load(self.mirror, self.images, self.chance.randrange(1 << 20))

    def live(self) -> None:
        """Pull while the background process repairs, then wait until catalog and disk agree."""
        with self.load() as load:
            wait_until(lambda: load.pulled >= WARM or load.is_over(), "pulls after a restart")
        self.pulled += load.pulled
        self.slowest = max(self.slowest, await_consistency(self.mirror.data))

    def die(self, command: HeldCommand | None) -> None:
        """Kill every process at a random moment of a command under load."""
        with self.load() as load:
            if command is not None:
                command.release(self.mirror.data / "catalog.db")
            time.sleep(self.chance.random() ** 2 * SPAN)
            load.expect_end()
            if command is not None:
                command.kill()
            self.mirror.kill()
        self.fullest = max(self.fullest, measure_files(self.mirror.data))
        self.pulled += load.pulled
        name = "none" if command is None else command.name
        self.commands[name] += 1
        if command is not None:
            self.interrupted[name] += is_interrupted(command)


def measure_files(data: Path) -> int:
    """The bytes of all blobs and parts."""
    files = [*(data / "blobs").glob("*/*/*"), *(data / "spool").glob("*.part")]
    return sum(path.stat().st_size for path in files)


def is_interrupted(command: HeldCommand) -> bool:
    """Return whether a command was killed; otherwise it has ended, and found nothing wrong."""
    code, output = command.join()
    if code < 0:
        return True
    assert code in (0, 1), output
    if command.name == "cache audit":
        found = json.loads(output)
        assert (found["damaged"], found["missing"]) == ([], []), output
    return False


def judge(mirror: MirrorProcess) -> str:
    """Audit twice: no recorded blob is missing or damaged, and the second audit finds nothing."""
    first = mirror.run("cache", "audit", "--restart", "--json")
    second = mirror.run("cache", "audit", "--restart")
    found = {name: each for name, each in json.loads(first.stdout).items() if each}
    assert not found.keys() & {"damaged", "missing", "unreadable"}, first.stdout
    assert second.returncode == 0, second.stdout
    assert second.stdout.splitlines()[-1] == "no problems found"
    return f"first audit {first.returncode}: {found}; second {second.returncode}"


@pytest.mark.parametrize("kills", KILLS)
def test_catalog_and_disk_agree_after_kills(
    hub: FakeUpstream, make_mirror: MirrorMaker, note: Callable[[str], None], kills: int
) -> None:
    """After any kill each row has its file, and the sum of used bytes and all answers are right."""
    hub.rate = 16 * MIB
    chance = random.Random(SEED)
    images = [
        hub.add_image(f"loop/i{number}", "1", [chance.randbytes(size) for size in LAYERS])
        for number in range(IMAGES)
    ]
    storage = {"limit": ROOM, "reserve": 0, "audit_rate": 0, "keep_pulled": 0}
    loop = KillLoop(make_mirror({"storage": storage, "tags": {"fresh_for": "1h"}}), images, chance)
    for number in range(kills):
        command = loop.prepare_command(number)
        try:
            loop.live()
            loop.die(command)
        finally:
            if command is not None:
                command.kill()
        loop.mirror.start()
    loop.live()

    assert loop.fullest <= ROOM
    audits = judge(loop.mirror)
    note(
        f"seed {SEED}, {kills} kills beside {dict(loop.commands)}, of which"
        f" {dict(loop.interrupted)} had not ended; {loop.pulled} pulls, all right; at most"
        f" {loop.fullest / ROOM:.3f} of the limit taken; catalog right after {loop.slowest:.2f} s"
        f" at most; {audits}"
    )
