"""Many clients pull one cold blob at the same moment, over a limited link, from two workers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import MirrorMaker
from tests.fakes.client import locate
from tests.fakes.upstream import FakeUpstream
from tests.harness.large_layer import MIB, Cargo, publish
from tests.harness.many_clients import Crowd, Pull
from tests.harness.mirror import MirrorProcess
from tests.harness.processes import count_served

CLIENTS = 50
SLOWDOWN = 1.2  # the last client, against one direct download
LATE = 0.1  # seconds between the upstream's first byte and that of the last client
TRIES = 3  # a machine that does something else meanwhile only ever makes it slower

REDUCED = (24 * MIB, 16 * MIB)
FULL = pytest.param(256 * MIB, 40 * MIB, marks=[pytest.mark.soak, pytest.mark.timeout(400)])


@dataclass(frozen=True)
class Crowding:
    """How long it took: seconds, and clients by worker."""

    direct: float
    crowd: float
    delay: float
    served: list[int]

    @property
    def is_fast(self) -> bool:
        is_shared = len(self.served) == 2 and self.served[0] >= CLIENTS // 4
        return self.crowd <= SLOWDOWN * self.direct and self.delay <= LATE and is_shared

    def __str__(self) -> str:
        return (
            f"direct {self.direct:.2f} s, last of {CLIENTS} {self.crowd:.2f} s"
            f" ({self.crowd / self.direct:.3f}x), first byte of the last client"
            f" {self.delay * 1000:.0f} ms after the upstream's, clients by worker {self.served}"
        )


def elapsed(pulls: list[Pull]) -> float:
    return max(pull.last_byte for pull in pulls) - min(pull.started for pull in pulls)


def pull_directly(hub: FakeUpstream, cargo: Cargo) -> float:
    """Download once straight from the upstream, with the same client; gives the seconds."""
    with Crowd(locate(hub, cargo.repository, cargo.digest), cargo.truth) as crowd:
        pulls = crowd.join()
    assert pulls[0].is_right, pulls
    hub.journal.clear()
    return elapsed(pulls)


def pull_together(hub: FakeUpstream, cargo: Cargo, mirror: MirrorProcess) -> Crowding:
    """Let the crowd pull; whatever the time, all must be right and cost one transfer."""
    direct = pull_directly(hub, cargo)
    with Crowd(cargo.introduce(mirror), cargo.truth, CLIENTS) as crowd:
        pulls = crowd.join()
        served = count_served(mirror.pid, mirror.url, [pull.port for pull in pulls])
    assert [pull.is_right for pull in pulls] == [True] * CLIENTS, pulls
    assert cargo.sent() == cargo.size, str(hub.journal)
    began = min(each.first_byte_at for each in hub.journal.of("cdn") if each.first_byte_at)
    delay = max(pull.first_byte for pull in pulls) - began
    return Crowding(direct, elapsed(pulls), delay, sorted(served.values()))


@pytest.mark.parametrize("connections", [4, 1])
@pytest.mark.parametrize(("size", "rate"), [REDUCED, FULL])
def test_a_crowd_pulls_one_cold_blob(
    hub: FakeUpstream,
    make_mirror: MirrorMaker,
    tmp_path: Path,
    note: Callable[[str], None],
    size: int,
    rate: int,
    connections: int,
) -> None:
    """Fifty clients of two workers cost one transfer, and wait hardly longer than one client."""
    hub.rate = rate

    def attempt() -> Iterator[Crowding]:
        for _ in range(TRIES):
            cargo = publish(tmp_path, size, hub)
            mirror = make_mirror(
                upstreams={"docker.io": {"endpoints": [hub.url], "connections": connections}}
            )
            crowding = pull_together(hub, cargo, mirror)
            mirror.kill()
            if connections == 1:
                assert cargo.fetches() == 1, str(hub.journal)
            note(
                f"{size >> 20} MiB at {rate >> 20} MiB/s, {connections} connections: {crowding};"
                f" upstream {cargo.sent() / size:.4f}x in {cargo.fetches()} GETs"
            )
            yield crowding

    assert any(crowding.is_fast for crowding in attempt())
