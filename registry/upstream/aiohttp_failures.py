"""Errors of aiohttp and of bodies that a thread receives, as httpx's own transport raises them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

import aiohttp
import httpx

from registry.upstream.addresses import AddressRefused
from registry.upstream.direct_body import BodyBroken

# httpx's exceptions by aiohttp's; a subclass comes before its base class.
_FAILURES: Mapping[type[Exception], type[httpx.TransportError]] = MappingProxyType(
    {
        aiohttp.ConnectionTimeoutError: httpx.ConnectTimeout,
        TimeoutError: httpx.ReadTimeout,
        BodyBroken: httpx.ReadError,
        aiohttp.ClientHttpProxyError: httpx.ProxyError,
        aiohttp.ClientProxyConnectionError: httpx.ProxyError,
        aiohttp.ClientConnectorError: httpx.ConnectError,
        aiohttp.InvalidURL: httpx.UnsupportedProtocol,
        aiohttp.ClientOSError: httpx.ReadError,
        aiohttp.ClientError: httpx.RemoteProtocolError,
        OSError: httpx.ConnectError,
    }
)


@contextmanager
def as_httpx(of_proxy: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Raise the exceptions of the `with` block that aiohttp raises as those of httpx.

    Those in `of_proxy`, which another library raises, say why a proxy gives no connection.

    Raises:
        httpx.TransportError: instead of the errors of connections.
        AddressRefused: the guard has refused the address of the server.
    """
    try:
        yield
    except of_proxy as error:
        raise httpx.ProxyError(str(error)) from error
    except tuple(_FAILURES) as error:
        if isinstance(error, aiohttp.ClientConnectorError):
            refused = error.os_error
            if isinstance(refused, AddressRefused):
                raise refused from error
        kind = next(kind for known, kind in _FAILURES.items() if isinstance(error, known))
        raise kind(str(error) or type(error).__name__) from error
