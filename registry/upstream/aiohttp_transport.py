"""Blobs over aiohttp's connections, as a transport of httpx.

httpx's own transport hands a body on in pieces of 64 KiB, behind TLS of 16 KiB, each copied four
times and passed through a dozen coroutines: more work than hashing it. It keeps all that is small,
for its parser forgives what registries and their gateways really send (decision record 0012).
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

AHEAD = 1024 * 1024  # bytes received before they are read, at most twice that
LONGEST = 64 * 1024  # bytes of a header: signed URLs are long
IDLE = 15.0  # seconds an idle connection is kept; servers close theirs later

# By aiohttp's families, the special before the general.
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
    """HTTP/1.1, directly or through a proxy (`http`, `https`, `socks5`), "" for none."""

    def __init__(self, trust: ssl.SSLContext, proxy: str) -> None:
        self._trust = trust
        self._is_socks = proxy.startswith("socks")
        self._proxy = proxy
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        """Open the session, which needs a running loop; it connects to nobody."""
        self._session = self._open_session()
        return self

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request without a body; the answer's body is unread, and as it was sent.

        Raises:
            httpx.TransportError: as httpx's own transport does.
        """
        retries = request.extensions["timeout"]
        timeout = aiohttp.ClientTimeout(
            total=None, connect=retries["connect"], sock_read=retries["read"]
        )
        with _as_httpx():
            answer = await self._session.request(
                request.method,
                _format(request.url),
                headers=request.headers.multi_items(),
                allow_redirects=False,
                proxy=None if self._is_socks else self._proxy or None,
                timeout=timeout,
            )
        return httpx.Response(answer.status, headers=list(answer.raw_headers), stream=_Body(answer))

    def _open_session(self) -> aiohttp.ClientSession:
        if self._is_socks:
            # Names are looked up at the proxy: here they may not be known, or nobody's business.
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
            read_bufsize=AHEAD,
            max_line_size=LONGEST,
            max_field_size=LONGEST,
            trust_env=False,
        )

    async def aclose(self) -> None:
        """Close every connection."""
        await self._session.close()


class _Body(httpx.AsyncByteStream):
    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _as_httpx():
            async for piece in self._answer.content.iter_any():
                yield piece

    async def aclose(self) -> None:
        # Gives the connection back where the body was read to its end; else it is of no more use.
        self._answer.close()


def _format(url: httpx.URL) -> URL:
    """Return a URL that goes over the wire byte for byte: signed queries allow no normalising."""
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
        kind = next(kind for family, kind in _FAILURES.items() if isinstance(error, family))
        raise kind(str(error) or type(error).__name__) from error
