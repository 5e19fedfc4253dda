"""Whatever several endpoints do, the blob is right, and hardly a byte comes twice.

The endpoints and the clock are simulated (`tests/fakes/endpoints.py`). Wrong bytes are in
tests/unit/mirror/test_repair.py.
"""

import asyncio
import random
from contextlib import aclosing

from hypothesis import event, given
from hypothesis import strategies as st

from registry.errors import UpstreamError, UpstreamFaulty, UpstreamThrottled, UpstreamUnreachable
from registry.upstream.parallel_ranges import read_in_order
from tests.fakes.endpoints import CHUNK, Fault, SimulatedDownload, SimulatedEndpoint
from tests.harness.turns import open_turn
from tests.property.virtual_loop import VirtualLoop

MIB = 1024 * 1024
SIZE = 12 * MIB + 1234
CONTENT = (bytes(range(251)) * (SIZE // 251 + 1))[:SIZE]
KINDS = ("stall", "pause", "cut", "429", "other size", "dead")


def misbehave(name: str, kinds: list[str], seed: int, often: float) -> Fault:
    """Return faults of these kinds that happen at random offsets, the same each time."""
    chance, is_dead = random.Random(seed), False

    def happen(_: int) -> UpstreamError | float | None:
        nonlocal is_dead
        if not is_dead and (not kinds or chance.random() > often):
            return None
        kind = "cut" if is_dead else chance.choice(kinds)
        is_dead = is_dead or kind == "dead"
        return {
            "stall": 25.0,
            "pause": 1.5,
            "429": UpstreamThrottled(name, "429", chance.choice([None, 0.5, 20.0])),
            "other size": UpstreamFaulty(name, "has another size"),
        }.get(kind, UpstreamUnreachable(name, "cut"))

    return happen


@st.composite
def endpoints(draw: st.DrawFn, *, is_sound: bool) -> SimulatedEndpoint:
    name = f"endpoint {draw(st.integers(0, 10**6))}"
    kinds = [] if is_sound else draw(st.lists(st.sampled_from(KINDS), max_size=3))
    return SimulatedEndpoint(
        name,
        rate=draw(st.sampled_from([MIB // 2, 2 * MIB, 10 * MIB, 1e9])),
        connection_rate=draw(st.sampled_from([MIB // 4, MIB, 1e9])),
        delay=draw(st.sampled_from([0.0, 0.05, 0.4])),
        fault=misbehave(
            name, kinds, draw(st.integers(0, 1000)), draw(st.sampled_from([0.002, 0.05]))
        ),
        has_ranges=is_sound or draw(st.booleans()) or draw(st.booleans()),
    )


async def read(download: SimulatedDownload, start: int, connections: int) -> None:
    turn = open_turn(connections)
    offset = start
    async with aclosing(read_in_order(download, start, turn, lambda _, __: None)) as chunks:
        async for chunk in chunks:
            assert chunk == CONTENT[offset : offset + len(chunk)]
            offset += len(chunk)
            assert 0 <= turn.taken <= turn.share
    assert offset == SIZE
    assert turn.taken == 0


@given(
    sound=st.integers(0, 2),
    several=st.lists(endpoints(is_sound=False), max_size=2),
    last=endpoints(is_sound=True),
    connections=st.sampled_from([1, 2, 8]),
    start=st.sampled_from([0, 1, 3 * MIB]),
)
def test_every_byte_comes_and_hardly_one_twice(
    sound: int,
    several: list[SimulatedEndpoint],
    last: SimulatedEndpoint,
    connections: int,
    start: int,
) -> None:
    """One endpoint is well, wherever it stands in the order; the others do what they like."""
    together = [*several[:sound], last, *several[sound:]]
    download = SimulatedDownload(CONTENT, together)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(read(download, start, connections))

    requests = sum(len(each.sent) for each in together)
    event(f"{len(together)} endpoints, {requests // 20 * 20} requests")
    if all(each.has_ranges for each in together):
        # A request that is ended because of another one has sent at most one chunk in vain.
        assert download.sent <= SIZE - start + requests * CHUNK
    assert all(each.most <= connections + 1 for each in together)
