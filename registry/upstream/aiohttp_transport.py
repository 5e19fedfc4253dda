"""A transport for httpx that sends requests over aiohttp's connections, for blobs.

httpx's own transport reads a body in pieces of 64 KiB, and of 16 KiB over TLS. It copies each piece
four times and passes it through a dozen coroutines, which takes longer than hashing the piece.
Other requests use httpx's transport, because its parser accepts the incorrect answers that some
registries and their gateways send (decision record 0012).
"""

import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Self

import aiohttp
import httpx
from aiohttp_socks import ProxyConnector
from yarl import URL

READ_AHEAD = 1024 * 1024  # bytes that are received before they are read; at most twice as many
LONGEST_HEADER = 64 * 1024  # bytes: signed URLs are long
IDLE = 15.0  # seconds that an idle connection is kept; servers keep theirs longer

# httpx's exceptions by aiohttp's; a subclass comes before its base class.
_FAILURES: Mapping[type[Exception], type[httpx.TransportError]] = MappingProxyType(
    {
        aiohttp.ConnectionTimeoutError: httpx.ConnectTimeout,
        TimeoutError: httpx.ReadTimeout,
        aiohttp.ClientHttpProxyError: httpx.ProxyError,
        aiohttp.ClientProxyConnectionError: httpx.ProxyError,
        aiohttp.ClientConnectorError: httpx.ConnectError,
        aiohttp.InvalidURL: httpx.UnsupportedProtocol,
        aiohttp.ClientOSError: httpx.ReadError,
        aiohttp.ClientError: httpx.RemoteProtocolError,
        OSError: httpx.ConnectError,
    }
)


class BulkTransport(httpx.AsyncBaseTransport):
    """Sends HTTP/1.1 directly (`proxy` is empty) or through a proxy (`http`, `https`, `socks5`)."""

    def __init__(self, trust: ssl.SSLContext, proxy: str) -> None:
        self._trust = trust
        self._is_socks = proxy.startswith("socks")
        self._proxy = proxy
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        """Open the session; this needs a running event loop, and makes no connection."""
        self._session = self._open_session()
        return self

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request without a body, and return the response with its body unread, not decoded.

        Raises:
            httpx.TransportError: as for httpx's own transport.
        """
        limits = request.extensions["timeout"]
        timeout = aiohttp.ClientTimeout(
            total=None, connect=limits["connect"], sock_read=limits["read"]
        )
        with _as_httpx():
            response = await self._session.request(
                request.method,
                _as_yarl(request.url),
                headers=request.headers.multi_items(),
                allow_redirects=False,
                proxy=None if self._is_socks else self._proxy or None,
                timeout=timeout,
            )
        return httpx.Response(
            response.status, headers=list(response.raw_headers), stream=_Body(response)
        )

    def _open_session(self) -> aiohttp.ClientSession:
        if self._is_socks:
            # The proxy looks names up, because the local DNS may not know them or must not see
            # them.
            plain = self._proxy.replace("socks5h://", "socks5://", 1)
            connector: aiohttp.BaseConnector = ProxyConnector.from_url(
                plain, rdns=True, limit=0, ssl=self._trust, keepalive_timeout=IDLE
            )
        else:
            connector = aiohttp.TCPConnector(limit=0, ssl=self._trust, keepalive_timeout=IDLE)
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            read_bufsize=READ_AHEAD,
            max_line_size=LONGEST_HEADER,
            max_field_size=LONGEST_HEADER,
            trust_env=False,
        )

    async def aclose(self) -> None:
        """Close every connection."""
        await self._session.close()


class _Body(httpx.AsyncByteStream):
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _as_httpx():
            async for piece in self._response.content.iter_any():
                yield piece

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


@contextmanager
def _as_httpx() -> Iterator[None]:
    try:
        yield
    except tuple(_FAILURES) as error:
        kind = next(kind for known, kind in _FAILURES.items() if isinstance(error, known))
        raise kind(str(error) or type(error).__name__) from error
