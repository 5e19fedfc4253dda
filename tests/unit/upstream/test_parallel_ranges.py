"""Laws of reading one blob by several ranges."""

import asyncio
import math
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

import pytest

from registry.errors import BlobUnknown, UpstreamUnreachable
from registry.oci.byte_ranges import Span
from registry.upstream import parallel_ranges
from registry.upstream.contract import Chunk
from registry.upstream.parallel_ranges import (
    LARGEST,
    PER_CONNECTION,
    SECONDS,
    SMALLEST,
    choose_length,
    read_in_order,
)
from tests.fakes.source import MemoryTransfer, Tap
from tests.harness.received import Step, take, take_all
from tests.harness.turns import open_turn
from tests.property.virtual_loop import VirtualLoop

CONTENT = bytes(range(251)) * (6 * SMALLEST // 251)


@pytest.mark.parametrize(
    ("size", "connections"), [(0, 4), (10, 4), (10 * SMALLEST, 1), (2 * SMALLEST - 1, 9)]
)
def test_few_bytes_are_one_segment(size: int, connections: int) -> None:
    """Few bytes, or a single connection, make a single segment."""
    assert size == choose_length(size, connections)


@pytest.mark.parametrize("speed", [0.0, 1000.0, 10e6, math.inf])
@pytest.mark.parametrize("connections", [2, 4, 16])
@pytest.mark.parametrize("size", [2 * SMALLEST, 64 * SMALLEST + 1, 5 * 1024**3])
def test_segments_are_neither_small_nor_large(size: int, connections: int, speed: float) -> None:
    """Whatever the size and the speed are, a segment is worth a request and fits into memory."""
    assert SMALLEST <= choose_length(size, connections, speed) <= LARGEST


def test_connections_get_several_segments() -> None:
    """Each connection gets several segments, so that a slow connection delays little."""
    assert choose_length(64 * SMALLEST, 4) == 64 * SMALLEST // (4 * PER_CONNECTION)


def test_slow_connections_get_short_segments() -> None:
    """A segment takes a few seconds: a longer one would need memory for nothing."""
    assert choose_length(5 * 1024**3, 4, 2 * SMALLEST) == int(2 * SMALLEST * SECONDS)


def open_transfer(tap: Tap, size: int | None = len(CONTENT)) -> MemoryTransfer:
    return MemoryTransfer(tap, CONTENT, BlobUnknown("r", "d"), size)


async def read(transfer: MemoryTransfer, start: int, connections: int) -> bytes:
    async with aclosing(read_in_order(transfer, start, open_turn(connections))) as chunks:
        return await take_all(chunks)


@pytest.mark.parametrize("has_ranges", [True, False])
@pytest.mark.parametrize("size", [len(CONTENT), None])
@pytest.mark.parametrize("start", [0, 1, len(CONTENT) - 1])
@pytest.mark.parametrize("connections", [1, 4])
async def test_blob_comes_in_order(
    has_ranges: bool, size: int | None, start: int, connections: int
) -> None:
    """With and without ranges the bytes come in order, and every byte is asked for once."""
    tap = Tap()
    tap.has_ranges = has_ranges

    got = await read(open_transfer(tap, size), start, connections)

    assert CONTENT[start:] == got
    assert len(CONTENT) - start == tap.given


class Paced(MemoryTransfer):
    """Records the spans that are asked for; each connection pauses after every chunk."""

    def __init__(self, content: bytes, pause: float) -> None:
        super().__init__(Tap(), content, BlobUnknown("r", "d"), len(content))
        self.asked: list[Span] = []
        self.at_once = 0
        self._pause = pause
        self._open = 0

    async def stream(
        self, start: int, stop: int | None, *, may_extend: bool = False
    ) -> AsyncGenerator[bytes, None]:
        self.asked.append(Span(start, stop or len(CONTENT)))
        self._open += 1
        self.at_once = max(self.at_once, self._open)
        try:
            async for chunk in super().stream(start, stop, may_extend=may_extend):
                yield chunk
                await asyncio.sleep(self._pause)
        finally:
            self._open -= 1


async def test_slow_link_gets_every_connection() -> None:
    """Where one connection is slow all of them fetch, and no byte is asked for twice."""
    transfer = Paced(CONTENT, pause=0.03)

    got = await read(transfer, 0, 4)

    assert got == CONTENT
    assert transfer.at_once == 4
    assert sum(span.length for span in transfer.asked) == len(CONTENT)


def test_fast_link_gets_one_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one connection is fast the others would only cost, so there are none."""
    alone = 4 * SMALLEST
    monkeypatch.setattr(parallel_ranges, "ALONE", alone)
    content = bytes(3 * alone)
    transfer = Paced(content, pause=0)

    # This clock stands still between timers: a busy machine does not make the link slow.
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        got = runner.run(read(transfer, 0, 4))

    assert got == content
    assert transfer.at_once == 1
    assert [span.length for span in transfer.asked] == [SMALLEST, alone, alone, alone - SMALLEST]


def test_a_slow_reader_gets_one_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """If hashing and writing take long, the link is not slow, and others would take more time."""
    alone = 4 * SMALLEST
    monkeypatch.setattr(parallel_ranges, "ALONE", alone)
    content = bytes(3 * alone)
    transfer = Paced(content, pause=0)

    async def read_slowly() -> bytes:
        got = bytearray()
        async with aclosing(read_in_order(transfer, 0, open_turn(4))) as chunks:
            async for chunk in chunks:
                got.extend(await take(chunk))
                await asyncio.sleep(0.2)
        return bytes(got)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        assert runner.run(read_slowly()) == content
    assert transfer.at_once == 1


async def test_failure_of_all_requests_is_raised() -> None:
    """If nobody sends a range any more, the error ends the read, after the bytes before it."""
    tap = Tap()
    tap.give(3 * SMALLEST)
    got = bytearray()

    async def read_all() -> None:
        async with aclosing(read_in_order(open_transfer(tap), 0, open_turn(4))) as chunks:
            async for chunk in chunks:
                got.extend(await take(chunk))

    reading = asyncio.create_task(read_all())
    for _ in range(1000):
        await asyncio.sleep(0)
    assert tap.allowance == 0
    tap.is_down = True
    tap.cut()

    with pytest.raises(UpstreamUnreachable):
        await reading
    assert CONTENT[: len(got)] == got


async def test_closing_stops_every_connection() -> None:
    """When the reader closes the stream, no connection goes on fetching."""
    tap = Tap()
    async with aclosing(read_in_order(open_transfer(tap), 0, open_turn(4))) as chunks:
        await anext(chunks)
        tap.allowance = 0
    for _ in range(10):
        await asyncio.sleep(0)
    given = tap.given

    tap.flow()
    for _ in range(10):
        await asyncio.sleep(0)

    assert given == tap.given


class InThread(MemoryTransfer):
    """A transfer of which a thread may receive each chunk."""

    async def receive(
        self,
        start: int,
        stop: int | None,
        *,
        may_extend: bool = False,
        in_thread: Callable[[], bool],
    ) -> AsyncGenerator[Chunk, None]:
        async with aclosing(self.stream(start, stop, may_extend=may_extend)) as chunks:
            async for chunk in chunks:
                yield Step(chunk) if in_thread() else chunk


@pytest.mark.parametrize("has_ranges", [True, False])
@pytest.mark.parametrize("size", [len(CONTENT), None])
async def test_bytes_of_a_thread_are_noted(size: int | None, *, has_ranges: bool) -> None:
    """It is known who has sent the bytes that a thread received, when the next ones come."""
    tap, got, noted = Tap(), bytearray(), 0
    tap.has_ranges = has_ranges

    def note(_: str, count: int) -> None:
        nonlocal noted
        noted += count

    transfer = InThread(tap, CONTENT, BlobUnknown("r", "d"), size)
    async with aclosing(read_in_order(transfer, 0, open_turn(1), note)) as chunks:
        async for chunk in chunks:
            assert noted == len(got) + (len(chunk) if isinstance(chunk, bytes) else 0)
            got += await take(chunk)
    assert got == CONTENT
    assert noted == len(CONTENT)
