"""Laws of answers that are larger than what a client takes at once."""

import asyncio
import math
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from registry.api.connection import SLICE, WHOLE, ClientConnection, ClientServer
from tests.harness.open_port import open_port

BODY = bytes(range(256)) * 40_000  # 10 MB


class Site:
    def __init__(self) -> None:
        self.port = 0
        self.connections: list[ClientConnection] = []

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.connections.append(request.protocol)  # type: ignore[arg-type]
        return web.Response(body=BODY)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    server = ClientServer(site.answer, lambda *_: None, keep_alive=math.inf)
    async with open_port(server) as site.port:
        yield site


async def test_who_does_not_read_costs_little(site: Site) -> None:
    """Of an answer that is not read, only a few slices are copied for its client."""
    _, writer = await asyncio.open_connection("127.0.0.1", site.port, limit=1024)
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await asyncio.sleep(0.3)

    (connection,) = site.connections
    assert connection.transport is not None
    assert 0 < connection.transport.get_write_buffer_size() <= WHOLE + 2 * SLICE
    writer.transport.abort()


async def test_the_answer_is_whole(site: Site) -> None:
    """All bytes arrive in order, twice on one connection; a HEAD has none."""
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    for method in ("GET", "HEAD", "GET"):
        writer.write(f"{method} / HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert f"Content-Length: {len(BODY)}".encode() in head
        if method == "GET":
            assert await reader.readexactly(len(BODY)) == BODY
    writer.transport.abort()
