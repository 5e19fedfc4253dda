"""The HTTP client of one upstream: proxies, certificates, timeouts, translated errors."""

import asyncio
import os
import re
import ssl
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager, suppress
from errno import errorcode
from http.cookiejar import CookieJar, DefaultCookiePolicy
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import anyio
import httpx

from registry import __version__
from registry.errors import SettingsError, UpstreamFaulty, UpstreamUnreachable
from registry.settings.named_files import check_readable
from registry.settings.upstreams import UpstreamSettings
from registry.upstream.addresses import AddressRefused, Reach
from registry.upstream.aiohttp_transport import LITTLE_AHEAD, READ_AHEAD
from registry.upstream.error_texts import BROKEN, describe
from registry.upstream.failures import AddressForbidden, NoConnection
from registry.upstream.framing import FramingExcess
from registry.upstream.transport import BULK, REACH, UpstreamTransport
from registry.upstream.trust import trust_system
from registry.upstream.via import ViaWriter, make_name

CONNECT = 10.0  # seconds that a new connection may take
SHORT_CONNECT = 3.0  # seconds, if another endpoint can be asked instead
STALL = 20.0  # seconds without a byte after which a transfer counts as broken
DISCARD = 2.0  # seconds for reading a body that is not used
SHORT_BODY = 64 * 1024  # bytes; reading so few is faster than making a new connection
_SHORT_LENGTH = re.compile(r"[0-9]{1,7}")


def preload() -> None:
    """Do what httpx does at the first request of a process: import modules, read certificates.

    If a process calls this before it forks, its children need not do it, and share the memory.
    """
    # httpcore imports sniffio in each step of a request. If it is not there, Python would look for
    # it in all folders each time, which took a seventh of the time of a small request.
    if find_spec("sniffio") is None:
        sys.modules["sniffio"] = None  # type: ignore[assignment]
    import_module("httpcore")
    anyio.run(anyio.sleep, 0)
    trust_system()


def open_client(
    name: str,
    settings: UpstreamSettings,
    via: ViaWriter | None = None,
    own_ports: frozenset[int] = frozenset(),
    *,
    is_warming: bool = False,
) -> httpx.AsyncClient:
    """Make the client for all requests to the upstream `name`; the caller closes it.

    `via` writes which mirror it is (None: a new one), and `own_ports` are where it listens. With
    `is_warming`, connections receive little that nobody reads yet.

    Raises:
        SettingsError: `ca_file` cannot be read.
    """
    trust = load_trust(name, settings.ca_file) if settings.ca_file else trust_system()
    return httpx.AsyncClient(
        transport=UpstreamTransport(
            trust,
            settings.proxy,
            via or ViaWriter(make_name()),
            own_ports,
            LITTLE_AHEAD if is_warming else READ_AHEAD,
        ),
        # Proxies in the environment are ignored; only the settings can name a proxy.
        trust_env=False,
        # No cookies are kept, so that an upstream cannot track clients.
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        # `Endpoint` follows redirects: the next host must not get the `Authorization` header, and
        # signed queries must be sent without any change.
        follow_redirects=False,
        timeout=httpx.Timeout(connect=CONNECT, read=STALL, write=STALL, pool=None),
        headers={"User-Agent": f"entrepot/{__version__}", "Accept-Encoding": "identity"},
    )


def load_trust(name: str, ca_file: str) -> ssl.SSLContext:
    """Return a TLS context that trusts the system's authorities, and those in `ca_file`.

    Raises:
        SettingsError: `ca_file` cannot be read.
    """
    check_readable(f'upstreams."{name}".ca_file', ca_file)
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(cafile=ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise SettingsError(
            f'upstreams."{name}".ca_file',
            f"{ca_file} cannot be read as certificates ({error.strerror or error})",
            "give a PEM file of certificate authorities",
        ) from error
    return context


class _WrittenURL(httpx.URL):
    """A URL that is sent without changes; httpx would normalise its escapes."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._target = target_of(url)

    @property
    def raw_path(self) -> bytes:
        """Path and query."""
        return self._target


def target_of(url: str) -> bytes:
    """Return the path and query of a URL without changes, for the request line."""
    rest = url.split("://", 1)[1].partition("#")[0]
    slash = min((at for at in (rest.find("/"), rest.find("?")) if at >= 0), default=len(rest))
    target = rest[slash:]
    return (target if target.startswith("/") else f"/{target}").encode("ascii")


def write_request(
    client: httpx.AsyncClient,
    method: str,
    url: str,
    headers: Mapping[str, str],
    *,
    connect: float = CONNECT,
    is_bulk: bool = False,
    reach: Reach | None = None,
    note_connection: Callable[[], None] | None = None,
) -> httpx.Request:
    """Make a request with the path and query of `url` without changes.

    `connect` is how many seconds a new connection may take; `is_bulk` says whether the answer may
    be large. `reach` is how far inside the connection may lead (None: anywhere). If the answer is
    not large, `note_connection` is called when there is a connection. httpx's
    extension `target` cannot be used, because it also changes the request line for a proxy.
    """
    timeout = httpx.Timeout(connect=connect, read=STALL, write=STALL, pool=None)
    written = _WrittenURL(url)
    request = client.build_request(method, written, headers=headers, timeout=timeout)
    request.url = written  # httpx made a copy
    request.extensions |= {BULK: is_bulk, REACH: reach}
    if note_connection is not None and not is_bulk:
        request.extensions["trace"] = _trace_connection(note_connection)
    return request


def _trace_connection(note: Callable[[], None]) -> Callable[[str, Any], Coroutine[Any, Any, None]]:
    """Return a callback for the events of httpx (httpx, "Extensions")."""

    async def trace(event: str, _: Any) -> None:
        if event.endswith("send_request_headers.started"):
            note()

    return trace


async def send(client: httpx.AsyncClient, request: httpx.Request, origin: str) -> httpx.Response:
    """Send a request to the server at `origin`, and return the response with its body unread.

    Raises:
        UpstreamUnreachable: there was no response, or it was not HTTP.
    """
    with translate_errors(origin):
        return await client.send(request, stream=True)


async def discard(response: httpx.Response) -> None:
    """Close a response whose body is not used, and keep its connection if the body is short.

    Closing an unread response closes its connection too, so a short body is read to its end first.
    """
    length = response.headers.get("content-length", "")
    is_short = bool(_SHORT_LENGTH.fullmatch(length)) and int(length) <= SHORT_BODY
    with suppress(TimeoutError, httpx.HTTPError, httpx.StreamError):
        if response.request.method == "HEAD" or is_short:
            async with asyncio.timeout(DISCARD):
                async for _ in response.aiter_raw():
                    pass
    await response.aclose()


@contextmanager
def translate_errors(endpoint: str) -> Iterator[None]:
    """Turn the errors of httpx into `UpstreamUnreachable`, without a URL in the message.

    An address to which the mirror must not be sent becomes `AddressForbidden`, and too much beside
    the content an `UpstreamFaulty`.
    """
    try:
        yield
    except AddressRefused as error:
        why = f"its name leads to {error.address}, {error.why}"
        raise AddressForbidden(endpoint, why) from error
    except httpx.ConnectTimeout as error:
        raise NoConnection(endpoint, "no connection in time") from error
    except httpx.ConnectError as error:
        raise NoConnection(endpoint, _explain(error)) from error
    except httpx.TimeoutException as error:
        raise UpstreamUnreachable(endpoint, "no data in time") from error
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
        for cause in _list_causes(error):
            if isinstance(cause, FramingExcess):  # another try would get the same
                raise UpstreamFaulty(endpoint, str(cause)) from error
        raise UpstreamUnreachable(endpoint, _explain(error)) from error


def _list_causes(error: BaseException) -> Iterator[BaseException]:
    cause = error.__cause__ or error.__context__
    while cause is not None:
        if isinstance(cause, BaseExceptionGroup):  # of several addresses, the last one
            cause = cause.exceptions[-1]
        yield cause
        cause = cause.__cause__ or cause.__context__


def _explain(error: Exception) -> str:
    """Return why there was no answer, in the words of the operating system if it was the reason."""
    reason = _find_reason(error)[:200]
    if reason.startswith(BROKEN):
        return reason
    if isinstance(error, httpx.ConnectError):
        return f"cannot be reached ({reason})"
    if isinstance(error, httpx.ProxyError):
        return f"the proxy gives no connection ({reason})"
    return f"no usable answer ({reason})"


def _find_reason(error: BaseException) -> str:
    """Return the message of the error's last cause that is an error of the operating system.

    If there is none, what the error itself means.
    """
    text = describe(error)
    for cause in _list_causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            text = f"certificate verify failed: {cause.verify_message}"
        elif isinstance(cause, ssl.SSLError):  # its `errno` is no number of the system
            reason = (cause.reason or str(cause)).replace("_", " ").lower()
            is_plain = reason == "wrong version number"
            text = f"TLS: {reason}" + ("; does it speak plain http?" if is_plain else "")
        elif isinstance(cause, OSError) and cause.errno and cause.strerror:
            # asyncio replaces the words of the system by its own; those of a resolver are kept.
            text = os.strerror(cause.errno) if cause.errno in errorcode else cause.strerror
    return text
