"""A transport for httpx that sends requests over aiohttp's connections, for blobs.

httpx's own transport reads a body in pieces of 64 KiB, and of 16 KiB over TLS. It copies each piece
four times and passes it through a dozen coroutines, which takes longer than hashing the piece.
Other requests use httpx's transport, because its parser accepts the incorrect answers that some
registries and their gateways send (decision record 0012).
"""

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from functools import partial
from typing import Any, Self, cast

import aiohttp
import httpx
from yarl import URL

from registry.upstream.addresses import AddressGuard
from registry.upstream.aiohttp_failures import as_httpx
from registry.upstream.aiohttp_protocol import BulkProtocol
from registry.upstream.contract import Chunk
from registry.upstream.direct_body import DIRECT, LEAST, DirectBody
from registry.upstream.httpx_transport import PEER, WAITED

READ_AHEAD = 1024 * 1024  # bytes that are received before they are read; at most twice as many
# For warming: what a connection still receives when its download has to wait delays clients.
LITTLE_AHEAD = 64 * 1024
LONGEST_HEADER = 64 * 1024  # bytes: signed URLs are long
KEPT_IDLE = 15.0  # seconds that an idle connection is kept; servers keep theirs longer


class BulkTransport(httpx.AsyncBaseTransport):
    """Sends requests as HTTP/1.1.

    `proxy` is the URL of a proxy (`http`, `https`, `socks5`); without one it is empty.
    `guard` checks the address of each new connection (None: any address is allowed). Each of them
    receives `read_ahead` bytes that nobody reads yet, and at most twice as many.
    """

    def __init__(
        self, trust: ssl.SSLContext, proxy: str, guard: AddressGuard | None, read_ahead: int
    ) -> None:
        self._trust = trust
        self._guard = guard
        self._read_ahead = read_ahead
        self._is_socks = proxy.startswith("socks")
        self._proxy = proxy
        self._proxy_errors: tuple[type[Exception], ...] = ()
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        """Open the session; this needs a running event loop, and makes no connection."""
        self._session = self._open_session()
        return self

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request without a body, and return the response with its body unread, not decoded.

        Raises:
            httpx.TransportError: as for httpx's own transport, and if there is too much beside the
                content (`Framing`), or no content for the time of the limit for reading.
            AddressRefused: the guard does not allow the address of the server.
        """
        limits = request.extensions["timeout"]
        timeout = aiohttp.ClientTimeout(
            total=None, connect=limits["connect"], sock_read=limits["read"]
        )
        with as_httpx(self._proxy_errors):
            # aiohttp has no limit for the whole head, and counts each byte of it as progress.
            async with asyncio.timeout(limits["connect"] + limits["read"]):
                response = await self._session.request(
                    request.method,
                    _as_yarl(request.url),
                    headers=request.headers.multi_items(),
                    allow_redirects=False,
                    proxy=None if self._is_socks else self._proxy or None,
                    timeout=timeout,
                )
        body = _Body(response, limits["read"])
        extensions: dict[str, Any] = {DIRECT: body.receive}
        if isinstance(response, _Response):
            extensions[WAITED] = response.waited
            if response.peer and not self._proxy:
                extensions[PEER] = response.peer
        return httpx.Response(
            response.status,
            headers=list(response.raw_headers),
            stream=body,
            extensions=extensions,
        )

    def _open_session(self) -> aiohttp.ClientSession:
        if self._is_socks:
            # Few mirrors have such a proxy, and its library is no small one.
            from aiohttp_socks import (  # noqa: PLC0415
                ProxyConnectionError,
                ProxyConnector,
                ProxyError,
                ProxyTimeoutError,
            )

            self._proxy_errors = (ProxyConnectionError, ProxyError, ProxyTimeoutError)
            # The proxy looks names up, because the local DNS may not know them or must not see
            # them.
            plain = self._proxy.replace("socks5h://", "socks5://", 1)
            connector: aiohttp.BaseConnector = ProxyConnector.from_url(
                plain, rdns=True, limit=0, ssl=self._trust, keepalive_timeout=KEPT_IDLE
            )
        else:
            connector = aiohttp.TCPConnector(
                limit=0,
                ssl=self._trust,
                keepalive_timeout=KEPT_IDLE,
                socket_factory=self._open_socket,
            )
        factory: Any = connector
        factory._factory = partial(BulkProtocol, loop=asyncio.get_running_loop())
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            read_bufsize=self._read_ahead,
            max_line_size=LONGEST_HEADER,
            max_field_size=LONGEST_HEADER,
            trust_env=False,
            response_class=_Response,
        )

    def _open_socket(self, address: aiohttp.AddrInfoType) -> socket.socket:
        family, kind, protocol, _, target = address
        if self._guard is not None:
            self._guard.check(str(target[0]), int(target[1]))
        return socket.socket(family, kind, protocol)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._session.close()


class _Response(aiohttp.ClientResponse):
    """A response that knows the address which sent it; `start` may give back the connection.

    `waited` is how many seconds after the request the head came.
    """

    peer = ""
    waited = 0.0

    async def start(self, connection: Any) -> aiohttp.ClientResponse:
        peer = connection.transport and connection.transport.get_extra_info("peername")
        self.peer = str(peer[0]) if peer else ""
        sent_at = time.monotonic()
        started = await super().start(connection)
        self.waited = time.monotonic() - sent_at
        return started


class _Body(httpx.AsyncByteStream):
    """The body of a response; each piece of it has to come within `stall` seconds."""

    def __init__(self, response: aiohttp.ClientResponse, stall: float) -> None:
        self._response = response
        self._stall = stall
        self._given = 0  # bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with as_httpx():
            while piece := await self._read():
                self._given += len(piece)
                yield piece

    async def _read(self) -> bytes:
        """Return the next bytes; nothing at the end."""
        content = self._response.content
        if failure := content.exception():
            # The connection has broken. aiohttp has what came before, but would raise instead.
            content.set_exception(cast("Any", None))
            piece = content.read_nowait()
            content.set_exception(failure)
            if piece:
                return piece
        # aiohttp counts each byte as progress, also those between the chunks of a body.
        async with asyncio.timeout(self._stall):
            return await content.readany()

    async def receive(
        self, left: int, in_thread: Callable[[], bool]
    ) -> AsyncGenerator[Chunk, None]:
        """Yield the rest of the body, which has `left` bytes, to be received in a thread.

        While `in_thread` returns false, the event loop receives it.
        Yields only some bytes, or nothing, if the rest has to be read in the usual way.

        Raises:
            httpx.TransportError: the body ends early, or the connection breaks or is silent.
        """
        if left < LEAST or not self._has_left(left):
            return
        # After a pause, asyncio goes on with TLS a moment later: this must be over before a thread
        # begins. For the same reason, nothing is taken that would end a pause.
        await asyncio.sleep(0)
        content, connection = self._response.content, self._response.connection
        protocol = connection and connection.protocol
        if not isinstance(protocol, BulkProtocol) or protocol.is_paused or content.exception():
            return
        buffered = content.read_nowait()
        self._given += len(buffered)
        raw = protocol.take_over()
        if raw is None:
            if buffered:
                yield buffered
            return

        def finish(is_usable: bool) -> None:
            if not is_usable:
                protocol.force_close()
            content.feed_eof()

        left -= len(buffered)
        direct = DirectBody(
            raw, buffered, left, stall=self._stall, in_thread=in_thread, finish=finish
        )
        with as_httpx():
            async with aclosing(direct.chunks()) as chunks:
                async for chunk in chunks:
                    yield chunk

    def _has_left(self, left: int) -> bool:
        """Whether the rest of the body has `left` bytes, and nothing between them."""
        headers, length = self._response.headers, self._response.content_length
        is_plain = "Transfer-Encoding" not in headers and length is not None
        return is_plain and length == self._given + left

    async def aclose(self) -> None:
        # This keeps the connection if the body was read to its end, and otherwise closes it.
        self._response.close()


def _as_yarl(url: httpx.URL) -> URL:
    """Return the URL for aiohttp, byte for byte: a signed query must not be normalised."""
    path, question, query = url.raw_path.decode("ascii").partition("?")
    host = url.raw_host.decode("ascii")
    host = f"[{host}]" if ":" in host else host
    authority = host if url.port is None else f"{host}:{url.port}"
    return URL(f"{url.scheme}://{authority}{path}{question}{query}", encoded=True)
