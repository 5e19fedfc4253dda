"""A worker's listener with small limits, in the loop of the test."""

import asyncio
import math
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from registry.api.access_log import AccessLog
from registry.api.connection import ClientServer
from registry.api.middleware import Middleware, Notes
from registry.api.repeated_answers import ResponseCache
from registry.api.sendfile import send_body
from registry.api.socket_writing import SentBytes
from registry.metrics.process_metrics import Metrics
from registry.server import connections as connections_module
from registry.server.connections import Connections
from registry.server.heartbeats import Heartbeats, WorkerLoad
from registry.server.listener import Listener, bind
from registry.server.live_tls import LiveTLS
from registry.server.tls import TLSFiles
from registry.settings.model import LimitSettings
from registry.settings.values import Address
from registry.tasks import Tasks

LARGE = 16 << 20  # bytes; more than the kernel takes for a client that does not read
REQUEST = b"GET /small HTTP/1.1\r\nHost: a\r\n\r\n"
LARGE_REQUEST = b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n"


class ConnectionSite:
    """What a test needs of a listener that runs in its loop."""

    def __init__(
        self,
        port: int,
        connections: Connections,
        metrics: Metrics,
        file: Path,
        stack: AsyncExitStack,
    ) -> None:
        self.port = port
        self.connections = connections
        self.metrics = metrics
        self.loads: list[WorkerLoad] = []
        self._file = file
        self._stack = stack

    async def answer(self, request: web.BaseRequest, notes: Notes) -> web.StreamResponse:
        if not notes.path.startswith("/large"):
            # Its answer is repeated without aiohttp from the second request on.
            notes.is_current = lambda _: True
            return web.Response(body=b"small")
        response = web.StreamResponse()
        response.content_length = LARGE
        with self._file.open("rb") as file:

            async def give() -> Any:
                yield file.fileno(), 0, LARGE

            with suppress(ConnectionError):
                await send_body(request, response, give(), SentBytes(), is_growing=False)
        return response

    def count(self, end: str, reason: str) -> float:
        name = f"entrepot_{end}_connections_total"
        return self.metrics.registry.get_sample_value(name, {"reason": reason}) or 0

    async def connect(
        self, data: bytes = b"", *, source: str = "127.0.0.1", window: int = 65536
    ) -> "Client":
        """Connect from an address of the loopback, with a small window, and send bytes."""
        connection = self._stack.enter_context(socket.socket())
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        connection.bind((source, 0))
        connection.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(connection, ("127.0.0.1", self.port))
        client = Client(connection)
        if data:
            await client.send(data)
        return client


class Client:
    """A raw connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.connection, data)

    async def ask(self, request: bytes = REQUEST) -> bytes:
        """Send a request, and return what comes next."""
        await self.send(request)
        return await self.read()

    async def read(self, limit: int = 65536) -> bytes:
        """Return what has come; nothing if the connection has ended."""
        try:
            receiving = asyncio.get_running_loop().sock_recv(self.connection, limit)
            return await asyncio.wait_for(receiving, 10)
        except ConnectionError:
            return b""

    async def is_cut(self, patience: float) -> bool:
        """Whether the connection ends within `patience` seconds, without any byte being read."""
        until = asyncio.get_running_loop().time() + patience
        while asyncio.get_running_loop().time() < until:
            info = self.connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)
            if info[0] != 1:  # TCP_ESTABLISHED
                return True
            await asyncio.sleep(0.01)
        return False


@asynccontextmanager
async def open_site(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    tls: TLSFiles | None = None,
    change: Callable[[Listener], None] = lambda _: None,
    **limits: Any,
) -> AsyncIterator[ConnectionSite]:
    """Open a site with these settings of `[limits]`; `change` gets the listener before it runs."""
    monkeypatch.setattr(connections_module, "SWEEP", 0.05)
    monkeypatch.setattr(connections_module, "SETTLED", 0.0)
    monkeypatch.setattr(connections_module, "RANKING", 0.0)
    file = folder / "large"
    file.write_bytes(bytes(LARGE))
    metrics = Metrics()
    async with AsyncExitStack() as stack:
        listening = bind("server.listen", Address("127.0.0.1", 0))
        loads: list[WorkerLoad] = []
        connections = Connections(LimitSettings(**limits), metrics, loads.append)
        port = listening.getsockname()[1]
        site = ConnectionSite(port, connections, metrics, file, stack)
        site.loads = loads
        access_log = AccessLog(metrics)
        handler = Middleware(access_log, site.answer).answer
        server = ClientServer(handler, access_log.write_refusal, keep_alive=math.inf)
        runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        opening = await stack.enter_async_context(Tasks())
        responses = ResponseCache(access_log)
        listener = Listener(
            server,
            responses,
            listening,
            tls=None if tls is None else LiveTLS(tls),
            connections=connections,
            tasks=opening,
        )
        stack.callback(listener.close_silent)
        tasks = await stack.enter_async_context(Tasks())
        stack.callback(listener.close)
        change(listener)
        tasks.start(listener.keep_accepting(Heartbeats(1), 0))
        tasks.start(connections.keep_sweeping())
        yield site
