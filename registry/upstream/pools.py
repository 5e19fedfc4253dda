"""httpx on connections of our own: what `httpx.AsyncHTTPTransport` does, over `Wires`.

httpx offers no place to hand its pools a network backend, so this small transport makes them.
"""

import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import httpcore
import httpx

from registry.upstream.wire import Wires

IDLE = 32  # connections kept open, all hosts together
IDLE_FOR = 5.0  # seconds each; registries close theirs soon after
_FAILURES = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
)


class PooledTransport(httpx.AsyncBaseTransport):
    """HTTP/1.1 over a pool, directly or through a proxy (`http://`, `https://`, `socks5://`)."""

    def __init__(self, trust: ssl.SSLContext, proxy: str) -> None:
        self._pool = _open_pool(trust, httpx.Proxy(proxy) if proxy else None)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; the answer's body is unread.

        Raises:
            httpx.TransportError: as httpx's own transport does.
        """
        inner = httpcore.Request(
            request.method,
            _spell(request.url),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        with _as_httpx():
            answer = await self._pool.handle_async_request(inner)
        return httpx.Response(
            answer.status,
            headers=answer.headers,
            stream=_Body(answer),
            extensions=answer.extensions,
        )

    async def aclose(self) -> None:
        """Close every connection."""
        await self._pool.aclose()


class _Body(httpx.AsyncByteStream):
    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _as_httpx():
            async for piece in self._answer.aiter_stream():
                yield piece

    async def aclose(self) -> None:
        with _as_httpx():
            await self._answer.aclose()


def _open_pool(trust: ssl.SSLContext, proxy: httpx.Proxy | None) -> httpcore.AsyncConnectionPool:
    options: dict[str, Any] = {
        "ssl_context": trust,
        "max_connections": None,
        "max_keepalive_connections": IDLE,
        "keepalive_expiry": IDLE_FOR,
        "network_backend": Wires(),
    }
    if proxy is None:
        return httpcore.AsyncConnectionPool(**options)
    options |= {"proxy_url": _spell(proxy.url), "proxy_auth": proxy.raw_auth}
    if proxy.url.scheme.startswith("socks5"):
        return httpcore.AsyncSOCKSProxy(**options)
    return httpcore.AsyncHTTPProxy(**options)


def _spell(url: httpx.URL) -> httpcore.URL:
    return httpcore.URL(
        scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
    )


@contextmanager
def _as_httpx() -> Iterator[None]:
    """Raise httpcore's failures as those of httpx, which have the same names."""
    try:
        yield
    except _FAILURES as error:
        raise getattr(httpx, type(error).__name__)(str(error)) from error
