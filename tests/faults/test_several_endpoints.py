"""One blob from three endpoints of 10, 6 and 2 MiB/s; one of them may stall, cut, refuse or lie."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest

from tests.conftest import MirrorMaker
from tests.fakes.upstream import Cut, FakeUpstream, Fault, Invert, Stall, Status
from tests.fakes.upstream.faults import Action
from tests.harness.deadline import await_truth
from tests.harness.large_layer import MIB, LargeLayer, publish
from tests.harness.many_clients import ManyClients, Pull
from tests.harness.mirror import MirrorProcess
from tests.harness.processes import count_served

SOAK = [pytest.mark.soak, pytest.mark.alone, pytest.mark.timeout(300)]
SIZES = [32 * MIB, pytest.param(256 * MIB, marks=SOAK)]
RATES = (10 * MIB, 6 * MIB, 2 * MIB)
SUM = sum(RATES)
OTHERS = sum(RATES[1:])
AHEAD = 24 * MIB  # that may be on the way or in memory when something happens
Note = Callable[[str], None]


@pytest.fixture
def hubs() -> Iterator[list[FakeUpstream]]:
    """Three upstreams with the same content, and these rates over all their connections."""
    with ExitStack() as stack:
        made = [stack.enter_context(FakeUpstream()) for _ in RATES]
        for hub, rate in zip(made, RATES, strict=True):
            hub.rate = rate
        yield made


def build(make_mirror: MirrorMaker, hubs: list[FakeUpstream]) -> MirrorProcess:
    return make_mirror(upstreams={"docker.io": {"endpoints": [hub.url for hub in hubs]}})


def pull(mirror: MirrorProcess, layer: LargeLayer) -> Pull:
    with ManyClients(layer.pull_manifest(mirror), layer.expected) as clients:
        (seen,) = clients.join()
    return seen


def seconds_of(seen: Pull) -> float:
    return seen.last_byte - seen.started


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
    mirror = build(make_mirror, hubs)
    with ManyClients(layer.pull_manifest(mirror), layer.expected) as clients:
        await_truth(lambda: layer.sent() >= size // 2)
        hubs[0].faults.add(Fault("any", action, times=None))
        began, left = time.monotonic(), size - layer.sent()
        if not isinstance(action, Status):
            hubs[0].stop("cdn") if isinstance(action, Cut) else hubs[0].hang()
        (seen,) = clients.join()

    excess = layer.sent() / size
    part = (seen.last_byte - began) / (left / OTHERS)
    note(f"{part:.3f} of the time that the others need, {excess:.4f}x")
    assert seen.is_right, seen
    assert part <= (1.15 if size > 100 * MIB else 2.5)
    assert excess <= 1.02 + (0 if size > 100 * MIB else 0.1)


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
    every = 20 if size > 100 * MIB else 6
    fault = hubs[liar].faults.add(Fault("cdn", Invert(), times=None, skip=1, every=every))
    mirror = build(make_mirror, hubs)

    cut_off = pull(mirror, layer)
    began = time.monotonic()
    after = pull(mirror, layer)

    excess = layer.sent() / size
    (told,) = mirror.events("wrong bytes replaced")
    note(
        f"right {after.last_byte - began:.2f} s later, repaired in {told['seconds']} s,"
        f" {excess:.4f}x, {fault.applied} lies"
    )
    assert fault.applied
    assert cut_off.received < size, cut_off
    assert after.is_right, after
    assert after.last_byte - began <= 10
    assert excess <= 1.25
    assert layer.await_file(mirror) == layer.expected.read_bytes()
    assert told["endpoint"] == hubs[liar].url


@pytest.mark.parametrize("size", [16 * MIB, pytest.param(64 * MIB, marks=SOAK)])
def test_far_connections_are_all_used(
    hub: FakeUpstream, make_mirror: MirrorMaker, tmp_path: Path, note: Note, size: int
) -> None:
    """200 ms to each first byte, 1 MiB/s a connection, and cuts: far faster than directly."""
    hub.auth, hub.delay, hub.connection_rate, hub.cut_about_every = "none", 0.2, MIB, 4 * MIB
    layer = publish(tmp_path, size, hub)
    mirror = build(make_mirror, [hub])
    url = layer.pull_manifest(mirror)
    with ManyClients(url, layer.expected) as clients:
        (seen,) = clients.join()
    excess = layer.sent() / size
    direct = read_directly(hub, layer, size // 8)
    gain = size / seconds_of(seen) / direct

    note(f"{gain:.2f} times a direct connection with {direct / MIB:.2f} MiB/s, {excess:.4f}x")
    assert seen.is_right, seen
    assert gain >= (6 if size > 50 * MIB else 2.5)
    assert excess <= 1.02


def read_directly(hub: FakeUpstream, layer: LargeLayer, size: int) -> float:
    """Read `size` bytes over one connection that goes on after cuts; return the bytes a second."""
    url = f"{hub.url}/v2/{layer.repository}/blobs/{layer.digest}"
    received, began = 0, time.monotonic()
    with httpx.Client(follow_redirects=True, timeout=30) as client:
        while received < size:
            headers = {"Range": f"bytes={received}-{size - 1}"}
            with (
                suppress(httpx.RemoteProtocolError, httpx.ReadError),
                client.stream("GET", url, headers=headers) as answer,
            ):
                for piece in answer.iter_raw():
                    received += len(piece)
    return received / (time.monotonic() - began)


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
    for hub, rate in zip(hubs, RATES, strict=True):
        hub.rate = rate
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
