"""httpx's own transport, for answers that are read whole: it checks what it connects to.

The pools of httpx take no network backend of ours, so it is put around theirs.
"""

import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from registry.upstream.addresses import AddressGuard
from registry.upstream.framing import Framing, FramingExcess

IDLE_CONNECTIONS = 32  # connections that are kept for the next request
PEER = "peer"  # the extension of a response with the address that sent it, if no proxy did
WAITED = "waited"  # the extension with the seconds from the request being sent to its head


class DocumentTransport(httpx.AsyncHTTPTransport):
    """Sends requests as HTTP/1.1. `proxy` is the URL of a proxy; without one it is empty.

    `guard` checks the address of each new connection (None: any address is allowed).
    """

    def __init__(self, trust: ssl.SSLContext, proxy: str, guard: AddressGuard | None) -> None:
        super().__init__(
            verify=trust,
            proxy=proxy or None,
            trust_env=False,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=IDLE_CONNECTIONS),
        )
        self._has_proxy = bool(proxy)
        pool: Any = self._pool
        pool._network_backend = _Backend(pool._network_backend, guard)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, and return the response; the caller reads its body.

        Raises:
            httpx.TransportError: as for httpx's own transport, and if there is too much beside the
                content (`Framing`).
            AddressRefused: the guard does not allow the address of the server.
        """
        response = await super().handle_async_request(request)
        stream = response.extensions["network_stream"]
        response.extensions[WAITED] = time.monotonic() - stream.sent_at
        if not self._has_proxy and (peer := stream.get_extra_info("server_addr")):
            response.extensions[PEER] = str(peer[0])
        response.stream = _Body(response.stream, stream)
        return response


class _Body(httpx.AsyncByteStream):
    """The body of a response, whose bytes count as content."""

    def __init__(self, body: Any, connection: "_Connection") -> None:
        self._body = body
        self._connection = connection
        connection.content = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._body:
            self._connection.content = (self._connection.content or 0) + len(piece)
            yield piece

    async def aclose(self) -> None:
        await self._body.aclose()


class _Backend:
    """Opens connections by another backend (httpcore, `AsyncNetworkBackend`)."""

    def __init__(self, inner: Any, guard: AddressGuard | None) -> None:
        self._inner = inner
        self._guard = guard

    async def connect_tcp(self, *args: Any, **options: Any) -> "_Connection":
        stream = await self._inner.connect_tcp(*args, **options)
        if self._guard is not None:
            try:
                _check_peer(stream, self._guard)
            except BaseException:
                await stream.aclose()
                raise
        return _Connection(stream)

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


class _Connection:
    """One connection (httpcore, `AsyncNetworkStream`), whose bytes are counted for each answer.

    `content` is how many bytes of the body were read; None until the head was read. `sent_at` is
    when the last part of a request was sent (seconds of the monotonic clock).
    """

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self._framing = Framing()
        self.content: int | None = None
        self.sent_at = 0.0

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with _as_protocol_error():
            self._framing.check(self.content)
            data: bytes = await self._inner.read(max_bytes, timeout)
            self._framing.receive(data)
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._framing.begin()
        self.content = None
        self.sent_at = time.monotonic()
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(self, *args: Any, **options: Any) -> "_Connection":
        return _Connection(await self._inner.start_tls(*args, **options))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def _check_peer(stream: Any, guard: AddressGuard) -> None:
    peer = stream.get_extra_info("server_addr")
    if not peer:
        raise httpx.ConnectError("the server has closed the connection at once")
    guard.check(*peer[:2])


@contextmanager
def _as_protocol_error() -> Iterator[None]:
    try:
        yield
    except FramingExcess as error:
        raise httpx.RemoteProtocolError(str(error)) from error
