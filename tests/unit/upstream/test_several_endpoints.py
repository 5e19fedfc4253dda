"""Laws of reading one blob from several endpoints; the clock and the links are simulated."""

import asyncio
import random
from contextlib import aclosing

import pytest

from registry.errors import UpstreamThrottled, UpstreamUnreachable
from registry.upstream.pacing import Link
from registry.upstream.parallel_ranges import read_in_order
from registry.upstream.rate_shares import Shares
from tests.fakes.endpoints import CHUNK, Fault, SimulatedDownload, SimulatedEndpoint
from tests.harness.turns import open_turn
from tests.property.virtual_loop import VirtualLoop

MIB = 1024 * 1024
SIZE = 128 * MIB
CONTENT = bytes(range(251)) * (SIZE // 251 + 1)
CONTENT = CONTENT[:SIZE]


class Reading:
    """What one download got, from whom, and in which time (seconds of the simulated clock)."""

    def __init__(self, *endpoints: SimulatedEndpoint, connections: int = 8) -> None:
        self.download = SimulatedDownload(CONTENT, endpoints)
        self.noted: list[tuple[str, int]] = []
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            self.seconds = runner.run(self._read(connections))

    async def _read(self, connections: int) -> float:
        offset = 0
        note = lambda name, count: self.noted.append((name, count))  # noqa: E731
        turn = open_turn(connections)
        async with aclosing(read_in_order(self.download, 0, turn, note)) as chunks:
            async for chunk in chunks:
                assert CONTENT[offset : offset + len(chunk)] == chunk
                offset += len(chunk)
        assert offset == SIZE
        assert turn.taken == 0
        return asyncio.get_running_loop().time()

    @property
    def excess(self) -> float:
        return self.download.sent / SIZE


def build(**faults: Fault) -> list[SimulatedEndpoint]:
    """Return three endpoints of 10, 6 and 2 MiB/s, however many connections they get."""
    rates = {"fast": 10 * MIB, "middle": 6 * MIB, "slow": 2 * MIB}
    return [
        SimulatedEndpoint(name, rate, fault=faults.get(name, lambda _: None))
        for name, rate in rates.items()
    ]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_all_endpoints_are_used_fully(order: tuple[int, ...]) -> None:
    """Whichever is asked first, the blob comes as fast as all of them send together."""
    endpoints = build()
    reading = Reading(*(endpoints[number] for number in order))

    assert SIZE / reading.seconds >= 0.9 * 18 * MIB
    assert reading.excess <= 1.02
    assert sum(count for _, count in reading.noted) == SIZE


async def read_paced(rate: float, count: int) -> tuple[float, SimulatedDownload]:
    """Read 16 MiB from fast endpoints at the own `rate`; return the seconds, and the download."""
    clock = asyncio.get_running_loop().time
    link, turn, received = Link(clock), open_turn(10), 0
    link.set_shares(Shares(rate, rate))
    with link.open(lambda: True) as turn.pace:
        endpoints = [SimulatedEndpoint(f"{number}", 100 * MIB) for number in range(count)]
        download = SimulatedDownload(CONTENT[: 16 * MIB], endpoints, turn.pace)
        async with aclosing(read_in_order(download, 0, turn)) as chunks:
            async for chunk in chunks:
                received += len(chunk)
    assert received == 16 * MIB
    return clock(), download


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("rate", [MIB // 4, MIB // 2, 2 * MIB])
@pytest.mark.parametrize("chunk", [64 * 1024, MIB])
def test_waiting_for_the_own_limit_is_no_stall(
    monkeypatch: pytest.MonkeyPatch, *, chunk: int, rate: int, count: int
) -> None:
    """However long a chunk waits, its request goes on, and no byte is asked for twice."""
    monkeypatch.setattr("tests.fakes.endpoints.CHUNK", chunk)
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        seconds, download = runner.run(read_paced(rate, count))

    assert download.sent <= 1.02 * 16 * MIB
    assert seconds == pytest.approx(16 * MIB / rate, rel=0.1)


def test_one_connection_to_each_is_enough_where_they_limit_the_sum() -> None:
    """Also if each may have only one connection, and the first request was for the whole blob."""
    endpoints = build()
    reading = Reading(*endpoints, connections=1)

    assert SIZE / reading.seconds >= 0.85 * 18 * MIB
    assert [each.most for each in endpoints] == [1, 1, 1]


def later(offset: int, happens: UpstreamUnreachable | float) -> Fault:
    return lambda at: happens if at >= offset else None


HALF = SIZE // 2
NEEDED = HALF / (18 * MIB) + HALF / (8 * MIB)


@pytest.mark.parametrize(
    "fault",
    [
        later(HALF, 1000.0),
        later(HALF, UpstreamUnreachable("fast", "cut")),
        later(HALF, UpstreamThrottled("fast", "429", 60.0)),
    ],
)
def test_others_bring_what_the_fastest_does_not(fault: Fault) -> None:
    """When the fastest stalls, cuts, or answers 429 half-way, the others go on at their speed."""
    reading = Reading(*build(fast=fault))

    assert reading.seconds <= 1.15 * NEEDED
    assert reading.excess <= 1.02


def test_connections_that_are_slow_each_are_all_used() -> None:
    """200 ms to the first byte and 1 MiB/s a connection, with cuts, is used with all of them."""
    chance = random.Random(3)

    def cut(at: int) -> UpstreamUnreachable | None:
        is_cut = chance.random() < CHUNK / (4 * MIB)
        return UpstreamUnreachable("far", "cut") if is_cut else None

    reading = Reading(SimulatedEndpoint("far", connection_rate=MIB, delay=0.2, fault=cut))

    assert SIZE / reading.seconds >= 6 * MIB
