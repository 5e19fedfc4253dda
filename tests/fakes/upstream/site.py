"""A listening port that can be closed and opened again."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

from aiohttp import web

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
HOST = "127.0.0.1"


class Site:
    """One address. Between `close` and the next `open` it refuses connections."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._keeper: socket.socket | None = None
        self._server: web.Server | None = None
        self._listener: asyncio.Server | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        if not self.port:
            raise RuntimeError("not started yet: use `with FakeUpstream() as hub`")
        return f"http://{HOST}:{self.port}"

    def bind(self, port: int) -> None:
        """Reserve a port until `release`; 0 reserves any free port."""
        # This socket never listens: it keeps the port from other programs while the site is closed.
        self._keeper = _bind(port)
        self.port = self._keeper.getsockname()[1]

    async def open(self) -> None:
        """Accept connections."""
        if self._listener is not None:
            return
        self._server = web.Server(
            self._handler, handler_cancellation=True, access_log=None, keepalive_timeout=3600
        )
        self._listener = await asyncio.get_running_loop().create_server(
            self._server, sock=_bind(self.port), backlog=1024
        )

    async def close(self) -> None:
        """Refuse new connections, and abort the open ones."""
        if self._listener is None or self._server is None:
            return
        self._listener.close()
        self._listener = None
        # Twice: a connection that was accepted just now is listed a few turns of the loop later.
        for _ in range(2):
            for connection in self._server.connections:
                if connection.transport is not None:
                    connection.transport.abort()
            for _ in range(4):
                await asyncio.sleep(0)
        await self._server.shutdown(1)

    def release(self) -> None:
        """Release the port."""
        if self._keeper is not None:
            self._keeper.close()
            self._keeper = None


def _bind(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setblocking(False)
        listener.bind((HOST, port))
    except OSError:
        listener.close()
        raise
    return listener
