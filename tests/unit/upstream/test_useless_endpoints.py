"""Laws of a small blob from one good endpoint, beside one that is of no use for it."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing

import pytest

from registry.oci.byte_ranges import Span
from registry.upstream.parallel_ranges import read_in_order
from registry.upstream.range_schedule import RangeSchedule
from registry.upstream.range_sender import Sender
from tests.fakes.endpoints import SimulatedDownload, SimulatedEndpoint
from tests.harness.turns import open_turn
from tests.property.virtual_loop import VirtualLoop

MIB = 1024 * 1024
NEVER = 1e6  # seconds


def read(content: bytes, *endpoints: SimulatedEndpoint) -> float:
    """Return how many seconds a blob takes."""

    async def run() -> float:
        received = b""
        reading = read_in_order(SimulatedDownload(content, endpoints), 0, open_turn(4))
        async with aclosing(reading) as chunks:
            async for chunk in chunks:
                assert isinstance(chunk, bytes)
                received += chunk
        assert received == content
        return asyncio.get_running_loop().time()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(run())


def build_good() -> SimulatedEndpoint:
    return SimulatedEndpoint("good", 6 * MIB, delay=0.1)


@pytest.mark.parametrize("size", [2 * MIB, 4 * MIB, 8 * MIB])
@pytest.mark.parametrize(
    "build_useless",
    [
        lambda: SimulatedEndpoint("silent", delay=NEVER),
        lambda: SimulatedEndpoint("slow", MIB / 5, delay=0.5),
    ],
    ids=["silent", "slow"],
)
def test_an_endpoint_that_is_of_no_use_costs_no_time(
    size: int, build_useless: Callable[[], SimulatedEndpoint]
) -> None:
    """One that never answers, or needs longer for a range than the other one for the whole rest."""
    content = (bytes(range(251)) * (size // 251 + 1))[:size]
    alone = read(content, build_good())

    assert read(content, build_good(), build_useless()) <= 1.1 * alone + 0.1


def test_a_range_without_an_answer_is_asked_for_elsewhere_when_others_are_idle() -> None:
    """As soon as another endpoint could have brought all of it since it was asked for."""
    size, good, silent = MIB // 4, Sender(0, "good", 4.0 * MIB, 0.1), Sender(1, "silent")
    schedule = RangeSchedule(Span(0, size), [good, silent], 1)
    segment = schedule.begin(silent, Span(0, size), 0.0)

    assert schedule.find_help(0, 0.3) is None
    assert schedule.find_help(0, 0.6) == (good, Span(segment.start, segment.stop))


def test_a_sender_gets_no_range_if_others_bring_all_before_it_brings_one() -> None:
    good, slow = Sender(0, "good", 4.0 * MIB, 0.1), Sender(1, "slow", MIB / 4, 0.5)
    schedule = RangeSchedule(Span(0, 8 * MIB), [good, slow], 1)
    running = schedule.begin(good, Span(0, 4 * MIB), 0.0)
    schedule.receive(running, MIB, 1.0)
    asked = schedule.choose(1.0, 16 * MIB)
    assert asked is not None
    assert asked[0] is slow

    schedule.receive(running, 2 * MIB, 1.5)
    schedule.skip(4 * MIB - 256 * 1024)  # somebody else has brought them
    assert schedule.choose(1.5, 16 * MIB) is None
