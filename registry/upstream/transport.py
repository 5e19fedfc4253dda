"""The HTTP client of one upstream: proxies, certificates, timeouts; foreign errors made ours."""

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import httpx

from registry import __version__
from registry.errors import SettingsError, UpstreamUnreachable
from registry.settings import UpstreamSettings
from registry.upstream.redirects import target_of

CONNECT = 10.0  # seconds
STALL = 20.0  # seconds without a byte after which a transfer counts as broken


def open_client(name: str, settings: UpstreamSettings) -> httpx.AsyncClient:
    """Make the client that all requests to the upstream `name` go through; the caller closes it.

    Raises:
        SettingsError: `ca_file` cannot be read.
    """
    return httpx.AsyncClient(
        proxy=settings.proxy or None,
        verify=load_trust(name, settings.ca_file),
        # Redirects are followed by hand: the next host must never see our Authorization, and
        # signed queries must arrive byte for byte.
        follow_redirects=False,
        timeout=httpx.Timeout(connect=CONNECT, read=STALL, write=STALL, pool=None),
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=32),
        headers={"User-Agent": f"entrepot/{__version__}", "Accept-Encoding": "identity"},
    )


def load_trust(name: str, ca_file: str) -> ssl.SSLContext:
    """Return a TLS context that trusts the system's authorities, and those in `ca_file`.

    Raises:
        SettingsError: `ca_file` cannot be read.
    """
    context = ssl.create_default_context()
    if ca_file:
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
    """A URL that goes over the wire as it was written; httpx would normalise its escapes."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._target = target_of(url)

    @property
    def raw_path(self) -> bytes:
        """Path and query."""
        return self._target


def write_request(
    client: httpx.AsyncClient, method: str, url: str, headers: Mapping[str, str]
) -> httpx.Request:
    """Make a request that carries the path and query of `url` byte for byte.

    Not by httpx's extension `target`: that also replaces what a proxy is asked for.
    """
    request = client.build_request(method, url, headers=headers)
    request.url = _WrittenURL(url)
    return request


@contextmanager
def translate_errors(endpoint: str) -> Iterator[None]:
    """Turn what httpx raises into `UpstreamUnreachable`, without a URL in its words."""
    try:
        yield
    except httpx.TimeoutException as error:
        kind = "no connection" if isinstance(error, httpx.ConnectTimeout) else "no byte"
        raise UpstreamUnreachable(endpoint, f"{kind} in time") from error
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
        words = f"{type(error).__name__}: {error}".rstrip(": ")[:200]
        raise UpstreamUnreachable(endpoint, words) from error
