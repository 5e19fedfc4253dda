"""A server of aiohttp in the process of the test."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

HOST = "127.0.0.1"
SHUTDOWN = 0.1  # seconds that answers have to end; some tests have clients that never read


@asynccontextmanager
async def open_port(server: web.Server) -> AsyncIterator[int]:
    """Serve on a free port of the loopback, and yield the port."""
    runner = web.ServerRunner(server, shutdown_timeout=SHUTDOWN)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, 0).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
