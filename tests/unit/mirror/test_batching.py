"""Laws of passing chunks from the network to the disk."""

import asyncio
from collections.abc import AsyncGenerator, Callable

import pytest

from registry.mirror.batching import DEPTH, Batcher
from registry.upstream.contract import Chunk


class Stream:
    """A stream of chunks that a test sends; it counts how many were read."""

    def __init__(self) -> None:
        self.pulled = 0
        self.is_closed = False
        self._waiting: asyncio.Queue[Chunk | Exception | None] = asyncio.Queue()

    def send(self, *pieces: Chunk | Exception | None) -> None:
        for piece in pieces:
            self._waiting.put_nowait(piece)

    async def chunks(self) -> AsyncGenerator[Chunk, None]:
        try:
            while (piece := await self._waiting.get()) is not None:
                if isinstance(piece, Exception):
                    raise piece
                self.pulled += 1
                yield piece
        finally:
            self.is_closed = True


async def take_all(batcher: Batcher) -> bytes:
    got = b""
    while isinstance(batch := await batcher.take(), list) and batch:
        got += b"".join(batch)
    return got


async def test_chunks_come_in_order() -> None:
    """All chunks are returned once, in the order in which they were sent."""
    stream = Stream()
    stream.send(*(bytes([number]) for number in range(100)), None)
    async with Batcher(stream.chunks()) as batcher:
        assert bytes(range(100)) == await take_all(batcher)
        assert await batcher.take() == []


async def test_empty_stream_ends_at_once() -> None:
    """A stream without chunks ends without an error."""
    stream = Stream()
    stream.send(None)
    async with Batcher(stream.chunks()) as batcher:
        assert await batcher.take() == []


async def test_first_chunk_does_not_wait() -> None:
    """The first chunk is returned at once, even if more may follow."""
    stream = Stream()
    stream.send(b"first")
    async with Batcher(stream.chunks()) as batcher:
        assert await asyncio.wait_for(batcher.take(), 10) == [b"first"]


async def test_chunks_gather() -> None:
    """Chunks that are received while the caller is busy are returned together."""
    stream = Stream()
    stream.send(b"1")
    async with Batcher(stream.chunks()) as batcher:
        await batcher.take()
        stream.send(b"2", b"3", b"4")
        assert await batcher.take() == [b"2", b"3", b"4"]


async def test_failure_comes_after_everything_before_it() -> None:
    """All chunks before an error are returned, and then the error is raised."""
    stream = Stream()
    stream.send(b"1", b"2", ConnectionError("cut"))
    async with Batcher(stream.chunks()) as batcher:
        got = b"".join(await batcher.take())
        got += b"".join(await batcher.take()) if got == b"1" else b""
        with pytest.raises(ConnectionError, match="cut"):
            await batcher.take()
    assert got == b"12"


async def test_stream_is_held_back() -> None:
    """If the disk is slow, the stream is stopped after four MiB, so memory is bounded."""
    stream, chunk = Stream(), bytes(1024 * 1024)
    stream.send(*[chunk] * 20, None)
    async with Batcher(stream.chunks()) as batcher:
        taken = [*await batcher.take(), *await batcher.take()]
        for _ in range(200):
            await asyncio.sleep(0)
        assert DEPTH // len(chunk) == stream.pulled - len(taken)
        assert 20 * len(chunk) == len(await take_all(batcher)) + sum(map(len, taken))


async def test_nothing_is_read_until_the_first_chunk_is_dealt_with() -> None:
    """Readers wait for the first chunk, so nothing else is done before the next call of `take`."""
    stream = Stream()
    stream.send(b"1", b"2", b"3", None)
    async with Batcher(stream.chunks()) as batcher:
        assert await batcher.take() == [b"1"]
        for _ in range(20):
            await asyncio.sleep(0)
        assert stream.pulled == 1
        assert await take_all(batcher) == b"23"


class Step:
    """Incoming bytes, which a test receives by calling `receive`."""

    waited = 0.0

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._received = 0

    def __len__(self) -> int:
        return self._received

    def receive(self, sink: Callable[[memoryview], None], _seconds: float) -> None:
        self._received = len(self._content)
        sink(memoryview(self._content))


async def test_incoming_bytes_are_returned_alone() -> None:
    """Incoming bytes come after those before them, and the next call says they were received."""
    stream, steps = Stream(), [Step(b"3"), Step(b"4")]
    stream.send(b"1", b"2", *steps, b"5", None)
    got: list[bytes] = []

    def keep(piece: memoryview) -> None:
        got.append(bytes(piece))

    async with Batcher(stream.chunks()) as batcher:
        while (batch := await batcher.take()) != []:
            if isinstance(batch, list):
                got.extend(batch)
            else:
                assert stream.pulled == 3 + steps.index(batch)
                batch.receive(keep, 1.0)
    assert got == [b"1", b"2", b"3", b"4", b"5"]


async def test_leaving_while_bytes_are_incoming() -> None:
    """The end of the block closes a stream that waits until its bytes are received."""
    stream = Stream()
    stream.send(b"1", Step(b"2"))
    async with Batcher(stream.chunks()) as batcher:
        await batcher.take()
        await batcher.take()
    assert stream.is_closed


async def test_one_chunk_may_be_larger() -> None:
    """A chunk that is larger than the limit is returned too."""
    stream = Stream()
    stream.send(bytes(2 * DEPTH), b"behind", None)
    async with Batcher(stream.chunks()) as batcher:
        assert len(await take_all(batcher)) == 2 * DEPTH + 6


async def test_leaving_closes_the_stream() -> None:
    """The end of the block closes a stream that waits for bytes."""
    stream = Stream()
    stream.send(b"1")
    async with Batcher(stream.chunks()) as batcher:
        await batcher.take()
    assert stream.is_closed


async def test_leaving_closes_a_stream_held_back() -> None:
    """The end of the block closes a stream that waits for the caller."""
    stream = Stream()
    stream.send(bytes(2 * DEPTH), b"behind")
    async with Batcher(stream.chunks()):
        for _ in range(20):
            await asyncio.sleep(0)
        assert stream.pulled == 1
    assert stream.is_closed
