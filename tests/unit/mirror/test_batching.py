"""Laws of passing chunks from the network to the disk."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from registry.mirror.batching import DEPTH, Batcher


class Stream:
    """A stream of chunks that a test sends; it counts how many were read."""

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
        for _ in range(200):
            await asyncio.sleep(0)
        assert DEPTH // len(chunk) == stream.pulled
        assert 20 * len(chunk) == len(await take_all(batcher))


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
