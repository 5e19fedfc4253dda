"""Laws of bodies that a thread receives; both ends of each connection are in the test."""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from registry.tasks import in_thread
from registry.upstream.direct_body import LEAST, BodyBroken, DirectBody
from registry.upstream.raw_connection import take_over
from tests.harness.received import take, take_all

BODY = bytes(range(256)) * 24 * 1024  # 6 MiB
HEAD = f"HTTP/1.1 200 OK\r\nContent-Length: {len(BODY)}\r\n\r\n".encode()
STALL = 0.2  # seconds


class Ends:
    """A connection: a socket of the test, and the body that is received at its other end."""

    def __init__(self, there: socket.socket, transport: asyncio.Transport) -> None:
        self.there = there
        self.transport = transport
        self.is_finished = False
        self.is_usable = False
        self.has_thread = True

    def open(self, left: int, buffered: bytes = b"") -> DirectBody:
        connection = take_over(self.transport)
        assert connection is not None
        return DirectBody(
            connection,
            buffered,
            left,
            stall=STALL,
            in_thread=lambda: self.has_thread,
            finish=self.finish,
        )

    def finish(self, is_usable: bool) -> None:
        self.is_finished, self.is_usable = True, is_usable


@pytest.fixture
async def ends() -> AsyncIterator[Ends]:
    here, there = socket.socketpair(socket.AF_UNIX)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(asyncio.Protocol, sock=here)
    with there:
        yield Ends(there, transport)
        transport.close()
        await asyncio.sleep(0)


async def test_bytes_come_in_order(ends: Ends) -> None:
    """The buffered bytes come first; after the last byte the connection is read as before."""
    body = ends.open(len(BODY) - 100, BODY[:100])
    assert not ends.transport.is_reading()
    sending = asyncio.create_task(in_thread(ends.there.sendall, BODY[100:]))

    got = await take_all(body.chunks())
    await sending

    assert got == BODY
    assert ends.is_usable
    assert ends.transport.is_reading()


async def test_no_byte_after_the_body_is_taken(ends: Ends) -> None:
    """What follows the body on the connection is not received."""
    ends.there.sendall(b"12345678")
    assert await take_all(ends.open(5).chunks()) == b"12345"
    assert not ends.is_usable


async def test_a_piece_stays_until_the_next_one_was_passed_on(ends: Ends) -> None:
    """Its memory is not used again before the next call of the sink, or the step, has ended."""
    pieces: list[memoryview] = []
    copies: list[bytes] = []

    def keep(piece: memoryview) -> None:
        if pieces:
            assert copies[-1] == pieces[-1]
        pieces.append(piece)
        copies.append(bytes(piece))

    sending = asyncio.create_task(in_thread(ends.there.sendall, BODY))
    async for chunk in ends.open(len(BODY)).chunks():
        assert not isinstance(chunk, bytes)
        await in_thread(chunk.receive, keep, 1.0)
        pieces.clear()
    await sending

    assert b"".join(copies) == BODY


async def receive_into(got: bytearray, body: DirectBody) -> None:
    async for chunk in body.chunks():
        got += await take(chunk)


async def test_end_before_the_last_byte(ends: Ends) -> None:
    """A connection that ends too early is an error, after the bytes that came."""
    ends.there.sendall(b"123")
    ends.there.close()
    got = bytearray()
    with pytest.raises(BodyBroken):
        await receive_into(got, ends.open(5))
    assert got == b"123"
    assert not ends.is_finished


async def test_stall(ends: Ends) -> None:
    """A connection without a byte for the time of the limit is an error."""
    ends.there.sendall(b"123")
    got = bytearray()
    with pytest.raises(TimeoutError):
        await receive_into(got, ends.open(5))
    assert got == b"123"


async def test_silence_keeps_no_thread(ends: Ends) -> None:
    """A thread returns soon from a silent connection, and the event loop waits for more."""
    async with aclosing(ends.open(5).chunks()) as chunks:
        assert await asyncio.wait_for(take(await anext(chunks)), 5) == b""
        following = asyncio.ensure_future(anext(chunks))
        await asyncio.sleep(0)
        ends.there.sendall(b"12345")
        assert await take(await following) == b"12345"


async def test_cancelled_in_the_middle(ends: Ends) -> None:
    """A download that is cancelled waits for its thread, and leaves nothing open."""
    ends.there.sendall(bytes(1000))
    body = ends.open(LEAST)
    has_begun = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def receive() -> None:
        async with aclosing(body.chunks()) as chunks:
            async for chunk in chunks:
                assert not isinstance(chunk, bytes)
                await in_thread(
                    chunk.receive, lambda _: loop.call_soon_threadsafe(has_begun.set), 1.0
                )

    receiving = asyncio.create_task(receive())
    await has_begun.wait()
    receiving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await receiving
    assert ends.transport.is_reading()
    assert not ends.is_finished


async def test_error_of_the_disk_is_raised_in_the_thread(ends: Ends) -> None:
    """An error of what the bytes are passed to is raised to who receives them."""

    def refuse(_: memoryview) -> None:
        raise OSError("full")

    ends.there.sendall(b"12345")
    async with aclosing(ends.open(5).chunks()) as chunks:
        step = await anext(chunks)
        assert not isinstance(step, bytes)
        with pytest.raises(OSError, match="full"):
            await in_thread(step.receive, refuse, 1.0)


async def test_bytes_that_nobody_receives(ends: Ends) -> None:
    """Who asks for the next chunk without receiving this one makes a mistake."""
    async with aclosing(ends.open(5).chunks()) as chunks:
        await anext(chunks)
        with pytest.raises(RuntimeError):
            await anext(chunks)


async def test_without_a_thread_the_event_loop_receives(ends: Ends) -> None:
    """When no thread may work any more, the bytes after those of the last step are yielded."""
    body = ends.open(11)
    async with aclosing(body.chunks()) as chunks:
        ends.there.sendall(b"12345")
        assert await take(await anext(chunks)) == b"12345"
        ends.has_thread = False
        following = asyncio.ensure_future(anext(chunks))
        await asyncio.sleep(0)
        ends.there.sendall(b"678901")
        assert await following == b"678901"
        assert await anext(chunks, None) is None
    assert ends.is_usable


async def test_without_a_thread_an_early_end_is_an_error(ends: Ends) -> None:
    """The event loop sees the end of the connection and its silence as a thread does."""
    ends.has_thread = False
    got = bytearray()
    with pytest.raises(TimeoutError):
        await receive_into(got, ends.open(5))
    ends.there.sendall(b"123")
    ends.there.close()
    with pytest.raises(BodyBroken):
        await receive_into(got, ends.open(5))
    assert got == b"123"
    assert not ends.is_finished


async def test_without_a_free_descriptor_the_loop_reads_on(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no second descriptor of a connection can be opened, it stays as it is."""

    def refuse(_: socket.socket) -> socket.socket:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(socket.socket, "dup", refuse)

    assert take_over(ends.transport) is None
    assert ends.transport.is_reading()
