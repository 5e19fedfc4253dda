"""Connections of httpcore on asyncio's own transports: what has come is taken all at once.

httpcore's own backend hands on 64 KiB at a time, and behind TLS one record of 16 KiB; each piece
then costs as much as hashing and writing it. Here a read gives everything that has arrived since
the last one, so that the faster the link, the fewer the pieces (record 0012).
"""

import asyncio
import select
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import httpcore

FULL = 1024 * 1024  # bytes waiting to be read, at which the sender is held up
HEAD_START = 0.25  # seconds an address is tried before the next one is (RFC 8305)


class _Inbox(asyncio.Protocol):
    """What has arrived on a connection and was not read yet."""

    def __init__(self) -> None:
        self.is_over = False
        self.failure: Exception | None = None
        self.transport: asyncio.Transport
        self._pieces: list[bytes] = []
        self._depth = 0
        self._is_held_up = False
        self._came = asyncio.Event()
        self._can_send = asyncio.Event()
        self._can_send.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._pieces.append(data)
        self._depth += len(data)
        if self._depth >= FULL and not self._is_held_up:
            self._is_held_up = True
            self.transport.pause_reading()
        self._came.set()

    def eof_received(self) -> None:
        self._end(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(exc)

    def _end(self, failure: Exception | None) -> None:
        self.is_over = True
        self.failure = self.failure or failure
        self._came.set()
        self._can_send.set()

    def pause_writing(self) -> None:
        self._can_send.clear()

    def resume_writing(self) -> None:
        self._can_send.set()

    @property
    def is_empty(self) -> bool:
        return not self._pieces

    async def take(self) -> bytes:
        """Wait for bytes and return all there are; empty at the end."""
        while not self._pieces:
            if self.failure is not None:
                raise self.failure
            if self.is_over:
                return b""
            self._came.clear()
            await self._came.wait()
        taken = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        self._depth = 0
        if self._is_held_up:
            self._is_held_up = False
            self.transport.resume_reading()
        return taken

    async def drain(self) -> None:
        """Wait until more may be sent."""
        await self._can_send.wait()
        if self.is_over:
            raise self.failure or ConnectionResetError("the connection is closed")


class Wire(httpcore.AsyncNetworkStream):
    """One connection, plain or TLS."""

    def __init__(self, inbox: _Inbox) -> None:
        self._inbox = inbox

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return everything that has arrived, be it more than `max_bytes`; empty at the end."""
        # The parser it goes to takes any amount; cut up, it would only cost more.
        with _translate(httpcore.ReadTimeout, httpcore.ReadError):
            if not self._inbox.is_empty:
                return await self._inbox.take()
            async with asyncio.timeout(timeout):
                return await self._inbox.take()

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send, and wait while the other side takes nothing."""
        with _translate(httpcore.WriteTimeout, httpcore.WriteError):
            self._inbox.transport.write(buffer)
            async with asyncio.timeout(timeout):
                await self._inbox.drain()

    async def aclose(self) -> None:
        """Close at once: nothing of ours waits to be sent by then."""
        self._inbox.transport.abort()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Put TLS on the connection, be it inside the TLS of a proxy."""
        former, inbox = self._inbox.transport, _Inbox()
        try:
            with _translate(httpcore.ConnectTimeout, httpcore.ConnectError):
                async with asyncio.timeout(timeout):
                    transport = await asyncio.get_running_loop().start_tls(
                        former, inbox, ssl_context, server_hostname=server_hostname
                    )
        except BaseException:
            former.abort()
            raise
        if transport is None:
            raise httpcore.ConnectError("closed during the TLS handshake")
        inbox.connection_made(transport)
        return Wire(inbox)

    def get_extra_info(self, info: str) -> Any:
        """Answer what httpcore asks: `is_readable` shows it that an idle connection has ended."""
        transport = self._inbox.transport
        match info:
            case "is_readable":
                return self._inbox.is_over or not self._inbox.is_empty or _is_readable(transport)
            case "ssl_object":
                return transport.get_extra_info("ssl_object")
            case "client_addr":
                return transport.get_extra_info("sockname")
            case "server_addr":
                return transport.get_extra_info("peername")
            case "socket":
                return transport.get_extra_info("socket")
        return None


class Wires(httpcore.AsyncNetworkBackend):
    """Opens connections; give it to httpcore's pools as `network_backend`."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first of the host's addresses that answers."""
        with _translate(httpcore.ConnectTimeout, httpcore.ConnectError):
            async with asyncio.timeout(timeout):
                _, inbox = await asyncio.get_running_loop().create_connection(
                    _Inbox, host, port, happy_eyeballs_delay=HEAD_START
                )
        return Wire(inbox)

    async def sleep(self, seconds: float) -> None:
        """Sleep."""
        await asyncio.sleep(seconds)


def _is_readable(transport: asyncio.Transport) -> bool:
    """Whether the kernel has something that the loop has not looked at yet."""
    connection = transport.get_extra_info("socket")
    if connection is None or connection.fileno() < 0:
        return True
    look = select.poll()
    look.register(connection.fileno(), select.POLLIN)
    return bool(look.poll(0))


@contextmanager
def _translate(late: type[Exception], broken: type[Exception]) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise late from error
    except OSError as error:  # ssl.SSLError is one
        raise broken(str(error)) from error
