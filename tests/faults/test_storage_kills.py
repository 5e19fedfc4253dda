"""kill -9 of everything at any moment: the books are right again, and so is every answer."""

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
WARM = 4  # pulls between a restart and a look at the books
SPAN = 0.25  # seconds of work within which everything is killed, mostly in the first of them
KILLS = list_sizes(3, 12, 180, seconds=1800)


@dataclass
class Storm:
    """A mirror that is killed again and again, and what was seen of it."""

    mirror: MirrorProcess
    images: list[Image]
    chance: random.Random
    pulled: int = 0
    slowest: float = 0.0  # seconds until the books were right
    fullest: int = 0  # bytes on the disk when it was killed
    deeds: Counter[str] = field(default_factory=Counter)
    interrupted: Counter[str] = field(default_factory=Counter)

    def start_deed(self, number: int) -> HeldCommand | None:
        """What an operator is going to do beside the pulls; now and then nothing."""
        image = f"{self.chance.choice(self.images).repository}:1"
        deeds: list[tuple[str, ...]] = [
            ("images", "pin", image),
            ("cache", "audit", "--json"),
            ("images", "rm", image),
            ("cache", "evict", "--to", "2MiB"),
            ("images", "unpin", "*"),
            (),
        ]
        words = deeds[number % len(deeds)]
        pipe = self.mirror.config.with_name("deed.toml")
        return HeldCommand(pipe, self.mirror.config, *words) if words else None

    def load(self) -> Load:
        return Load(self.mirror, self.images, self.chance.randrange(1 << 20))

    def live(self) -> None:
        """Pull while the steward mends, then let all come to rest and look at the books."""
        with self.load() as load:
            wait_until(lambda: load.pulled >= WARM or load.is_over(), "pulls after a restart")
        self.pulled += load.pulled
        self.slowest = max(self.slowest, await_consistency(self.mirror.data))

    def die(self, deed: HeldCommand | None) -> None:
        """Kill every process at a random moment of a deed under load."""
        with self.load() as load:
            if deed is not None:
                deed.release(self.mirror.data / "catalog.db")
            time.sleep(self.chance.random() ** 2 * SPAN)
            load.expect_end()
            if deed is not None:
                deed.kill()
            self.mirror.kill()
        self.fullest = max(self.fullest, measure_files(self.mirror.data))
        self.pulled += load.pulled
        name = "none" if deed is None else deed.name
        self.deeds[name] += 1
        if deed is not None:
            self.interrupted[name] += is_interrupted(deed)


def measure_files(data: Path) -> int:
    """The bytes of all blobs and parts."""
    files = [*(data / "blobs").glob("*/*/*"), *(data / "spool").glob("*.part")]
    return sum(path.stat().st_size for path in files)


def is_interrupted(deed: HeldCommand) -> bool:
    """Whether a command was killed; if not it has done its work, and found nothing wrong."""
    code, told = deed.join()
    if code < 0:
        return True
    assert code in (0, 1), told
    if deed.name == "cache audit":
        found = json.loads(told)
        assert (found["damaged"], found["missing"]) == ([], []), told
    return False


def judge(mirror: MirrorProcess) -> str:
    """Audit twice: nothing that was promised lacks, and after the first all is well."""
    first = mirror.run("cache", "audit", "--restart", "--json")
    second = mirror.run("cache", "audit", "--restart")
    found = {name: each for name, each in json.loads(first.stdout).items() if each}
    assert not found.keys() & {"damaged", "missing", "unreadable"}, first.stdout
    assert second.returncode == 0, second.stdout
    assert second.stdout.splitlines()[-1] == "no problems found"
    return f"first audit {first.returncode}: {found}; second {second.returncode}"


@pytest.mark.parametrize("kills", KILLS)
def test_the_books_survive_the_death_of_everything(
    hub: FakeUpstream, make_mirror: MirrorMaker, note: Callable[[str], None], kills: int
) -> None:
    """After any kill no row promises what is not there, the sum is right, and so is each answer."""
    hub.rate = 16 * MIB
    chance = random.Random(SEED)
    images = [
        hub.add_image(f"storm/i{number}", "1", [chance.randbytes(size) for size in LAYERS])
        for number in range(IMAGES)
    ]
    storage = {"limit": ROOM, "reserve": 0, "audit_rate": 0}
    storm = Storm(make_mirror({"storage": storage, "tags": {"fresh_for": "1h"}}), images, chance)
    for number in range(kills):
        deed = storm.start_deed(number)
        try:
            storm.live()
            storm.die(deed)
        finally:
            if deed is not None:
                deed.kill()
        storm.mirror.start()
    storm.live()

    assert storm.fullest <= ROOM
    audits = judge(storm.mirror)
    note(
        f"seed {SEED}, {kills} kills beside {dict(storm.deeds)}, of which"
        f" {dict(storm.interrupted)} had not ended; {storm.pulled} pulls, all right; at most"
        f" {storm.fullest / ROOM:.3f} of the limit taken; books right after {storm.slowest:.2f} s"
        f" at most; {audits}"
    )
