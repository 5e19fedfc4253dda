"""Laws of reading a body: what a thread receives is measured, and a limited rate uses no thread."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing

import httpx
import pytest

from registry.errors import UpstreamUnreachable
from registry.upstream import blob_body
from registry.upstream.blob_body import read_body
from registry.upstream.contract import Chunk
from registry.upstream.direct_body import DIRECT
from registry.upstream.measurements import Measurements
from registry.upstream.meter import Meter
from registry.upstream.request import Answer
from registry.upstream.wanted_bytes import WantedBytes
from tests.harness.received import Step, take, take_all

ORIGIN = "https://memory.example"
FIRST, REST = b"first", b"the rest"
SIZE = len(FIRST) + len(REST)


class Rate:
    """A pace that notes what was charged; `wait` waits until `free` is set."""

    def __init__(self, *, is_limited: bool) -> None:
        self.is_limited = self.is_held = is_limited
        self.taken: list[int] = []
        self.free = asyncio.Event()
        self.free.set()

    def charge(self, count: int) -> None:
        self.taken.append(count)

    async def wait(self) -> None:
        await self.free.wait()


class Body(httpx.AsyncByteStream):
    """A body whose rest can be received in a thread, in one step: all of it, or only `rest`."""

    def __init__(self, rest: bytes = REST) -> None:
        self.is_direct = False
        self._rest = rest

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield FIRST
        if not self.is_direct:
            yield self._rest

    async def receive(
        self, left: int, in_thread: Callable[[], bool]
    ) -> AsyncGenerator[Chunk, None]:
        assert left == len(REST)
        assert in_thread()
        self.is_direct = True
        yield Step(self._rest)


def answer(body: Body) -> Answer:
    response = httpx.Response(200, stream=body, extensions={DIRECT: body.receive})
    return Answer(response, ORIGIN, ORIGIN)


@pytest.fixture(autouse=True)
def _small_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread receives a rest that is as small as those of these tests."""
    monkeypatch.setattr(blob_body, "LEAST", 1)


@pytest.fixture
def meter() -> Meter:
    return Meter(Measurements(lambda: 1e6), lambda: 0.0)


@pytest.mark.parametrize("is_limited", [False, True])
@pytest.mark.parametrize("may_use_thread", [False, True])
async def test_a_thread_receives_the_rest(
    meter: Meter, *, is_limited: bool, may_use_thread: bool
) -> None:
    """All bytes are measured and paced, also those of a thread; it works if nothing limits them."""
    body, rate = Body(), Rate(is_limited=is_limited)
    wanted = WantedBytes(0, SIZE, in_thread=lambda: may_use_thread)

    with meter.open_stream() as stream:
        got = await take_all(read_body(answer(body), wanted, stream, rate))

    assert got == FIRST + REST
    assert body.is_direct == (may_use_thread and not is_limited)
    assert rate.taken == [len(FIRST), len(REST)]
    assert meter.sent == SIZE == wanted.offset


async def test_bytes_that_have_to_wait_are_not_lost(meter: Meter) -> None:
    """They are given out and counted first; whoever gives up waiting for more loses none."""
    rate = Rate(is_limited=True)
    rate.free.clear()
    wanted = WantedBytes(0, SIZE)

    with meter.open_stream() as stream:
        async with aclosing(read_body(answer(Body()), wanted, stream, rate)) as chunks:
            assert await anext(chunks) == FIRST
            assert rate.taken == [len(FIRST)]
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    await anext(chunks)


async def test_other_bytes_than_the_wanted_ones_are_read_as_before(meter: Meter) -> None:
    """If a body goes on after the wanted bytes, or begins before them, no thread receives it."""
    for wanted in (
        WantedBytes(0, SIZE, in_thread=lambda: True, is_longer=True),
        WantedBytes(SIZE - 1, SIZE, in_thread=lambda: True, skip=SIZE - 1),
    ):
        body = Body()
        with meter.open_stream() as stream:
            await take_all(read_body(answer(body), wanted, stream, Rate(is_limited=False)))
        assert not body.is_direct


async def test_a_thread_that_receives_too_little(meter: Meter) -> None:
    """A body that ends early is an error, after its bytes."""
    got = bytearray()
    wanted = WantedBytes(0, SIZE, in_thread=lambda: True)

    async def read_all() -> None:
        with meter.open_stream() as stream:
            rate = Rate(is_limited=False)
            async for chunk in read_body(answer(Body(b"x")), wanted, stream, rate):
                got.extend(await take(chunk))

    with pytest.raises(UpstreamUnreachable):
        await read_all()
    assert got == FIRST + b"x"
    assert meter.sent == len(got)
