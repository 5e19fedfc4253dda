"""Laws of large bodies over aiohttp's connections, of which a thread receives the rest."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from registry.tasks import in_thread
from registry.upstream.aiohttp_transport import READ_AHEAD, BulkTransport
from registry.upstream.direct_body import DIRECT, LEAST
from tests.fakes.certificates import Authority, make_authority
from tests.harness.deadline import await_truth
from tests.harness.received import take

BODY = bytes(range(256)) * 24 * 1024  # 6 MiB
HEAD = f"HTTP/1.1 200 OK\r\nContent-Length: {len(BODY)}\r\n\r\n".encode()
SHORT = 100_000  # bytes of a body that is received whole before anybody reads it
SHORT_HEAD = f"HTTP/1.1 200 OK\r\nContent-Length: {SHORT}\r\n\r\n".encode()

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Server:
    """A server on a port of the loopback; `talk` answers the requests of each connection."""

    def __init__(self, talk: Talk, trust: ssl.SSLContext | None) -> None:
        self.connections = 0
        self._talk = talk
        self._trust = trust

    @asynccontextmanager
    async def run(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0, ssl=self._trust)
        async with server:
            port = server.sockets[0].getsockname()[1]
            yield f"{'http' if self._trust is None else 'https'}://127.0.0.1:{port}/"

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self._talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    folder: Path = tmp_path_factory.mktemp("authority")
    return make_authority(folder)


@asynccontextmanager
async def open_transport(authority: Authority) -> AsyncIterator[BulkTransport]:
    async with BulkTransport(authority.client_context(), "", None, READ_AHEAD) as transport:
        yield transport


def find_protocol(response: httpx.Response) -> Any:
    return response.extensions[DIRECT].__self__._response.connection.protocol


async def read(
    transport: BulkTransport, url: str, size: int = len(BODY), *, is_slow: bool = False
) -> tuple[bytes, int]:
    """Return the body at `url`, and how many times a thread received bytes of it.

    If `is_slow`, aiohttp pauses after the first bytes, before more are read.
    """
    request = httpx.Request("GET", url, extensions={"timeout": {"connect": 5.0, "read": 5.0}})
    response = await transport.handle_async_request(request)
    got, steps = b"", 0
    try:
        async for piece in response.aiter_raw():
            if is_slow and not got:
                await in_thread(await_truth, lambda: find_protocol(response).is_paused)
            got += piece
            async for chunk in response.extensions[DIRECT](size - len(got), lambda: True):
                steps += not isinstance(chunk, bytes)
                got += await take(chunk)
    finally:
        await response.aclose()
    return got, steps


@pytest.mark.parametrize("is_tls", [False, True])
async def test_connection_is_used_again(authority: Authority, is_tls: bool) -> None:
    """A thread receives the body with and without TLS, and the next request has the connection."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(HEAD + BODY)
            await writer.drain()

    server = Server(talk, authority.server_context() if is_tls else None)
    async with server.run() as url, open_transport(authority) as transport:
        for _ in range(3):
            got, steps = await read(transport, url)
            assert got == BODY
            assert steps
    assert server.connections == 1


@pytest.mark.parametrize("is_tls", [False, True])
async def test_the_answer_before_is_read_late(authority: Authority, is_tls: bool) -> None:
    """Reading what is buffered of an answer takes no byte of the next one on its connection."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(SHORT_HEAD + BODY[:SHORT])
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD + BODY[:1000])
        await is_late.wait()
        writer.write(BODY[1000:])
        await writer.drain()

    is_late, got = asyncio.Event(), b""
    server = Server(talk, authority.server_context() if is_tls else None)
    async with server.run() as url, open_transport(authority) as transport:
        request = httpx.Request("GET", url, extensions={"timeout": {"connect": 5.0, "read": 5.0}})
        former = await transport.handle_async_request(request)
        content = former.extensions[DIRECT].__self__._response.content
        await in_thread(await_truth, content.is_eof)
        response = await transport.handle_async_request(request)
        got += await anext(response.aiter_raw())
        chunks = response.extensions[DIRECT](len(BODY) - len(got), lambda: True)
        step = await anext(chunks)  # from now on, a thread reads the connection
        assert await former.aread() == BODY[:SHORT]
        is_late.set()
        await asyncio.sleep(0.05)  # in which the event loop would read what a thread has to get
        got += await take(step)
        async for chunk in chunks:
            got += await take(chunk)
        await response.aclose()
    assert server.connections == 1
    assert got == BODY


@pytest.mark.parametrize("is_tls", [False, True])
async def test_body_that_was_paused(authority: Authority, is_tls: bool) -> None:
    """If too much waits to be read, aiohttp's pause ends before a thread receives the rest."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head + body)
        await writer.drain()
        await reader.read()

    body = BODY * 4
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    server = Server(talk, authority.server_context() if is_tls else None)
    async with server.run() as url, open_transport(authority) as transport:
        got, steps = await read(transport, url, len(body), is_slow=True)
    assert got == body
    assert steps


@pytest.mark.parametrize("is_tls", [False, True])
async def test_bytes_before_a_cut_are_kept(authority: Authority, is_tls: bool) -> None:
    """A busy reader, who reads after the connection has broken, gets all that came before."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD + BODY[:1000])
        await writer.drain()
        await has_begun.wait()
        writer.write(BODY[1000:50_000])
        await writer.drain()

    has_begun, got = asyncio.Event(), b""
    server = Server(talk, authority.server_context() if is_tls else None)
    async with server.run() as url, open_transport(authority) as transport:
        request = httpx.Request("GET", url, extensions={"timeout": {"connect": 5.0, "read": 5.0}})
        response = await transport.handle_async_request(request)
        content = response.extensions[DIRECT].__self__._response.content
        pieces = response.aiter_raw()
        got += await anext(pieces)
        has_begun.set()
        await in_thread(await_truth, content.exception)
        got += await anext(pieces)
        with pytest.raises(httpx.TransportError):
            await anext(pieces)
        await response.aclose()
    assert got == BODY[:50_000]


@pytest.mark.parametrize("is_tls", [False, True])
async def test_body_that_ends_early(authority: Authority, is_tls: bool) -> None:
    """A body that is cut off is an error of the transport, and its connection is not kept."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD + BODY[:-1])
        await writer.drain()

    server = Server(talk, authority.server_context() if is_tls else None)
    async with server.run() as url, open_transport(authority) as transport:
        for number in (1, 2):
            with pytest.raises(httpx.ReadError):
                await read(transport, url)
            assert server.connections == number


async def test_reset_in_the_body(authority: Authority) -> None:
    """A connection that is reset in the middle is an error of the transport."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD + BODY[: LEAST // 2])
        await writer.drain()
        resets = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, resets)

    async with Server(talk, None).run() as url, open_transport(authority) as transport:
        with pytest.raises(httpx.TransportError):
            await read(transport, url)


@pytest.mark.parametrize("is_tls", [False, True])
async def test_bytes_after_the_body(authority: Authority, is_tls: bool) -> None:
    """Bytes that follow the body are not taken for the next answer."""
    wrong = HEAD + bytes(len(BODY))

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD + BODY + wrong)
        await writer.drain()
        await reader.read()

    server = Server(talk, authority.server_context() if is_tls else None)
    async with server.run() as url, open_transport(authority) as transport:
        for _ in range(3):
            with suppress(httpx.TransportError):  # they came only when it was asked again
                assert (await read(transport, url))[0] == BODY
    assert server.connections > 1


@pytest.mark.parametrize(
    "head",
    [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        f"HTTP/1.1 200 OK\r\nContent-Length: {len(BODY) + 1}\r\n\r\n",
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
    ],
)
async def test_other_bodies_are_read_as_before(authority: Authority, head: str) -> None:
    """Chunked bodies, and those of another or no length, are read on the event loop."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        frame = (
            (f"{len(BODY):x}\r\n".encode(), b"\r\n0\r\n\r\n") if "chunked" in head else (b"", b"")
        )
        writer.write(head.encode() + frame[0] + BODY + frame[1])
        await writer.drain()
        writer.write(b"!" if "Length" in head else b"")

    async with Server(talk, None).run() as url, open_transport(authority) as transport:
        got, steps = await read(transport, url)
        assert (got[: len(BODY)], steps) == (BODY, 0)
