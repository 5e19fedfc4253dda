"""Many clients pull one cold blob at the same moment, over a limited link, from two workers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import MirrorMaker
from tests.fakes.client import locate
from tests.fakes.upstream import FakeUpstream
from tests.harness.large_layer import MIB, LargeLayer, publish
from tests.harness.many_clients import ManyClients, Pull
from tests.harness.mirror import MirrorProcess
from tests.harness.processes import count_served

CLIENTS = 50
SLOWDOWN = 1.2  # the last client, against one direct download
LATE = 0.1  # seconds between the upstream's first byte and that of the last client
TRIES = 3  # a machine that does something else meanwhile only ever makes it slower

REDUCED = (24 * MIB, 16 * MIB)
FULL = pytest.param(256 * MIB, 40 * MIB, marks=[pytest.mark.soak, pytest.mark.timeout(400)])


@dataclass(frozen=True)
class PullTimes:
    """How long it took: seconds, and clients by worker."""

    direct: float
    together: float
    delay: float
    served: list[int]

    @property
    def is_fast(self) -> bool:
        is_shared = len(self.served) == 2 and self.served[0] >= CLIENTS // 4
        return self.together <= SLOWDOWN * self.direct and self.delay <= LATE and is_shared

    def __str__(self) -> str:
        return (
            f"direct {self.direct:.2f} s, last of {CLIENTS} {self.together:.2f} s"
            f" ({self.together / self.direct:.3f}x), first byte of the last client"
            f" {self.delay * 1000:.0f} ms after the upstream's, clients by worker {self.served}"
        )


def elapsed(pulls: list[Pull]) -> float:
    return max(pull.last_byte for pull in pulls) - min(pull.started for pull in pulls)


def pull_directly(hub: FakeUpstream, layer: LargeLayer) -> float:
    """Download once straight from the upstream, with the same client; gives the seconds."""
    with ManyClients(locate(hub, layer.repository, layer.digest), layer.expected) as clients:
        pulls = clients.join()
    assert pulls[0].is_right, pulls
    hub.journal.clear()
    return elapsed(pulls)


def pull_together(hub: FakeUpstream, layer: LargeLayer, mirror: MirrorProcess) -> PullTimes:
    """Let all clients pull; return the times. All bytes must be right and cost one transfer."""
    direct = pull_directly(hub, layer)
    with ManyClients(layer.pull_manifest(mirror), layer.expected, CLIENTS) as clients:
        pulls = clients.join()
        served = count_served(mirror.pid, mirror.url, [pull.port for pull in pulls])
    assert [pull.is_right for pull in pulls] == [True] * CLIENTS, pulls
    assert layer.sent() == layer.size, str(hub.journal)
    began = min(each.first_byte_at for each in hub.journal.of("cdn") if each.first_byte_at)
    delay = max(pull.first_byte for pull in pulls) - began
    return PullTimes(direct, elapsed(pulls), delay, sorted(served.values()))


@pytest.mark.alone
@pytest.mark.parametrize("connections", [4, pytest.param(1, marks=pytest.mark.programs)])
@pytest.mark.parametrize(("size", "rate"), [REDUCED, FULL])
def test_many_clients_pull_one_cold_blob(
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

    def attempt() -> Iterator[PullTimes]:
        for _ in range(TRIES):
            layer = publish(tmp_path, size, hub)
            mirror = make_mirror(
                upstreams={"docker.io": {"endpoints": [hub.url], "connections": connections}}
            )
            times = pull_together(hub, layer, mirror)
            mirror.kill()
            if connections == 1:
                assert layer.fetches() == 1, str(hub.journal)
            note(
                f"{size >> 20} MiB at {rate >> 20} MiB/s, {connections} connections: {times};"
                f" upstream {layer.sent() / size:.4f}x in {layer.fetches()} GETs"
            )
            yield times

    assert any(times.is_fast for times in attempt())
