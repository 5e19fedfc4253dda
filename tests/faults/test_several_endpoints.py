"""One blob from three endpoints of 10, 6 and 2 MiB/s; one of them may stall, cut, refuse or lie."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import MirrorMaker
from tests.fakes.upstream import Cut, FakeUpstream, Stall, Status
from tests.fakes.upstream.faults import Action
from tests.harness.deadline import await_truth
from tests.harness.large_layer import MIB, LargeLayer, publish
from tests.harness.many_clients import ManyClients
from tests.harness.mirror import MirrorProcess
from tests.harness.processes import count_served
from tests.harness.several_endpoints import (
    SUM,
    list_table,
    make_far,
    open_endpoints,
    pull,
    pull_during_outage,
    pull_from_liar,
    read_directly,
    seconds_of,
)

SOAK = [pytest.mark.soak, pytest.mark.alone, pytest.mark.timeout(300)]
SIZES = [32 * MIB, pytest.param(256 * MIB, marks=SOAK)]
AHEAD = 24 * MIB  # that may be on the way or in memory when something happens
Note = Callable[[str], None]


@pytest.fixture
def hubs() -> Iterator[list[FakeUpstream]]:
    """Three upstreams with the same content, and these rates over all their connections."""
    with open_endpoints() as made:
        yield made


def build(make_mirror: MirrorMaker, hubs: list[FakeUpstream]) -> MirrorProcess:
    return make_mirror(upstreams=list_table(hubs))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_all_are_used_fully(
    hubs: list[FakeUpstream],
    make_mirror: MirrorMaker,
    tmp_path: Path,
    note: Note,
    order: tuple[int, ...],
    size: int,
) -> None:
    """The blob comes at the speed of all together, whichever is asked first."""
    layer = publish(tmp_path, size, *hubs)

    seen = pull(build(make_mirror, [hubs[number] for number in order]), layer)

    share, excess = size / seconds_of(seen) / SUM, layer.sent() / size
    note(f"{share:.3f} of the sum, {excess:.4f}x, {layer.fetches()} GETs")
    assert seen.is_right, seen
    assert share >= (0.9 if size > 100 * MIB else 0.5)  # a small one ends while it is divided
    assert excess <= 1.02


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "action",
    [Stall(0), Cut(0), Status(429, headers={"Retry-After": "60"})],
    ids=["stalls", "cuts", "429"],
)
def test_others_bring_what_the_fastest_does_not(
    hubs: list[FakeUpstream],
    make_mirror: MirrorMaker,
    tmp_path: Path,
    note: Note,
    action: Action,
    size: int,
) -> None:
    """If the fastest stops half-way in one of three ways, the others go on at their speed."""
    layer = publish(tmp_path, size, *hubs)
    found = pull_during_outage(build(make_mirror, hubs), hubs, layer, action)

    note(f"{found.part:.3f} of the time that the others need, {found.excess:.4f}x")
    assert found.seen.is_right, found.seen
    assert found.part <= (1.15 if size > 100 * MIB else 2.5)
    assert found.excess <= 1.02 + (0 if size > 100 * MIB else 0.1)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("liar", [0, 1, 2])
def test_wrong_bytes_are_replaced(
    hubs: list[FakeUpstream],
    make_mirror: MirrorMaker,
    tmp_path: Path,
    note: Note,
    liar: int,
    size: int,
) -> None:
    """One range of twenty is wrong: the reader is cut, asks again, and soon has the right blob."""
    layer = publish(tmp_path, size, *hubs)
    mirror = build(make_mirror, hubs)

    found = pull_from_liar(mirror, hubs[liar], layer, every=20 if size > 100 * MIB else 6)

    (told,) = found.repaired
    note(
        f"right {found.after:.2f} s later, repaired in {told['seconds']} s,"
        f" {found.excess:.4f}x, {found.applied} lies"
    )
    assert found.applied
    assert found.first.received < size, found.first
    assert found.second.is_right, found.second
    assert found.after <= 10
    assert found.excess <= 1.25 + (0 if size > 100 * MIB else 0.1)  # one range is a larger part
    assert layer.await_file(mirror) == layer.expected.read_bytes()
    assert told["endpoint"] == hubs[liar].url


@pytest.mark.parametrize("size", [16 * MIB, pytest.param(64 * MIB, marks=SOAK)])
def test_far_connections_are_all_used(
    hub: FakeUpstream, make_mirror: MirrorMaker, tmp_path: Path, note: Note, size: int
) -> None:
    """200 ms to each first byte, 1 MiB/s a connection, and cuts: far faster than directly."""
    make_far(hub)
    layer = publish(tmp_path, size, hub)
    seen = pull(build(make_mirror, [hub]), layer)
    excess = layer.sent() / size
    direct = read_directly(hub, layer, size // 8)
    gain = size / seconds_of(seen) / direct

    note(f"{gain:.2f} times a direct connection with {direct / MIB:.2f} MiB/s, {excess:.4f}x")
    assert seen.is_right, seen
    assert gain >= (6 if size > 50 * MIB else 2.5)
    assert excess <= 1.02


SEED = 20261


def written(layer: LargeLayer, mirror: MirrorProcess) -> int:
    for path in (layer.file(mirror), layer.part(mirror)):
        if path.exists():
            return path.stat().st_size
    return 0


@pytest.mark.parametrize(
    ("size", "kills"),
    [
        (32 * MIB, 2),
        pytest.param(256 * MIB, 20, marks=[pytest.mark.programs, pytest.mark.timeout(400)]),
    ],
)
def test_a_download_survives_kills(
    hubs: list[FakeUpstream],
    make_mirror: MirrorMaker,
    tmp_path: Path,
    note: Note,
    size: int,
    kills: int,
) -> None:
    """After each kill -9 the download goes on from what is on the disk."""
    layer = publish(tmp_path, size, *hubs)
    mirror = build(make_mirror, hubs)
    url = layer.pull_manifest(mirror)
    chance = random.Random(SEED)
    regained = []
    for moment in sorted(chance.randrange(size) for _ in range(kills)):
        with ManyClients(url, layer.expected) as clients:
            await_truth(lambda: count_served(mirror.pid, mirror.url).total() == 1)
            await_truth(lambda moment=moment: written(layer, mirror) >= moment)
            mirror.kill()
            pulls = clients.join()
        assert not any(each.received >= size and not each.is_right for each in pulls), pulls
        regained.append(written(layer, mirror))
        mirror.start()
    with ManyClients(url, layer.expected) as clients:
        pulls = clients.join()

    note(
        f"{kills} kills, on disk then {[each // MIB for each in regained]} MiB,"
        f" {layer.sent() / size:.3f}x"
    )
    assert [each.is_right for each in pulls] == [True], pulls
    assert regained == sorted(regained)
    assert layer.sent() <= size + kills * AHEAD
