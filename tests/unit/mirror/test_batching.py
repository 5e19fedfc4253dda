"""Laws of the conveyor between the network and the disk."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from registry.mirror.batching import DEPTH, Batcher


class Stream:
    """A stream of chunks that a test sends, and how far it was pulled."""

    def __init__(self) -> None:
        self.pulled = 0
        self.is_closed = False
        self._waiting: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()

    def send(self, *pieces: bytes | Exception | None) -> None:
        for piece in pieces:
            self._waiting.put_nowait(piece)

    async def chunks(self) -> AsyncGenerator[bytes, None]:
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
    while batch := await batcher.take():
        got += b"".join(batch)
    return got


async def test_chunks_come_in_order() -> None:
    """Everything comes, once, in the order it was sent, and then the end."""
    stream = Stream()
    stream.send(*(bytes([number]) for number in range(100)), None)
    async with Batcher(stream.chunks()) as batcher:
        assert bytes(range(100)) == await take_all(batcher)
        assert await batcher.take() == []


async def test_empty_stream_ends_at_once() -> None:
    """A stream without chunks is an end, not an error."""
    stream = Stream()
    stream.send(None)
    async with Batcher(stream.chunks()) as batcher:
        assert await batcher.take() == []


async def test_first_chunk_does_not_wait() -> None:
    """The first chunk is given as soon as it is there, though more may come."""
    stream = Stream()
    stream.send(b"first")
    async with Batcher(stream.chunks()) as batcher:
        assert await asyncio.wait_for(batcher.take(), 10) == [b"first"]


async def test_chunks_gather() -> None:
    """What comes while the taker is busy is given together."""
    stream = Stream()
    stream.send(b"1")
    async with Batcher(stream.chunks()) as batcher:
        await batcher.take()
        stream.send(b"2", b"3", b"4")
        assert await batcher.take() == [b"2", b"3", b"4"]


async def test_failure_comes_after_everything_before_it() -> None:
    """A broken stream gives all that it had, and then raises what broke it."""
    stream = Stream()
    stream.send(b"1", b"2", ConnectionError("cut"))
    async with Batcher(stream.chunks()) as batcher:
        got = b"".join(await batcher.take())
        got += b"".join(await batcher.take()) if got == b"1" else b""
        with pytest.raises(ConnectionError, match="cut"):
            await batcher.take()
    assert got == b"12"


async def test_stream_is_held_back() -> None:
    """A disk that does not keep up stops the stream after four mebibytes, not the memory."""
    stream, chunk = Stream(), bytes(1024 * 1024)
    stream.send(*[chunk] * 20, None)
    async with Batcher(stream.chunks()) as batcher:
        for _ in range(200):
            await asyncio.sleep(0)
        assert DEPTH // len(chunk) == stream.pulled
        assert 20 * len(chunk) == len(await take_all(batcher))


async def test_one_chunk_may_be_larger() -> None:
    """A chunk larger than what may wait goes through all the same."""
    stream = Stream()
    stream.send(bytes(2 * DEPTH), b"behind", None)
    async with Batcher(stream.chunks()) as batcher:
        assert len(await take_all(batcher)) == 2 * DEPTH + 6


async def test_leaving_closes_the_stream() -> None:
    """Who stops taking leaves no stream open, although it waits for bytes."""
    stream = Stream()
    stream.send(b"1")
    async with Batcher(stream.chunks()) as batcher:
        await batcher.take()
    assert stream.is_closed


async def test_leaving_closes_a_stream_held_back() -> None:
    """Nor one that waits for the taker."""
    stream = Stream()
    stream.send(bytes(2 * DEPTH), b"behind")
    async with Batcher(stream.chunks()):
        for _ in range(20):
            await asyncio.sleep(0)
        assert stream.pulled == 1
    assert stream.is_closed
