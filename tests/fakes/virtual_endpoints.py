"""Endpoints of a registry behind a transport of httpx, on the clock of the event loop.

Everything above the transport is real. With `tests.property.virtual_loop` a download of minutes
takes no time, and is the same every time.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx

from registry.oci.byte_ranges import Span
from registry.settings.endpoints import split_endpoint
from registry.upstream.auth import Login
from registry.upstream.endpoint import Endpoint
from registry.upstream.failover import EndpointPool
from registry.upstream.httpx_transport import WAITED
from registry.upstream.measurements import Measurements
from registry.upstream.ranking import Ranking
from registry.upstream.registry import RegistrySource
from registry.upstream.tokens import TokenCache

CHUNK = 64 * 1024  # bytes that are sent at a time
FLIPPED = bytes(byte ^ 0xFF for byte in range(256))


@dataclass(eq=False)
class Sent:
    """One request for the bytes of `asked`, of which `count` were sent."""

    asked: Span
    count: int = 0
    is_over: bool = False


@dataclass(eq=False)
class VirtualEndpoint:
    """One endpoint that has `content`; a test changes its attributes at any time.

    `rate` is that of each connection in bytes per second, and `delay` the seconds to the head of
    an answer. Without `has_connection`, a connection times out. While `is_stalled`, it sends
    nothing. With `throttled`, it answers 429 with so many seconds in `Retry-After`. It announces a
    `size`, and flips all bytes in `lies`; `has_lied` says
    whether it has sent some. `requests` are those that it has answered with bytes.
    """

    url: str
    content: bytes = b""
    rate: float = 1e9
    delay: float = 0.0
    has_connection: bool = True
    is_stalled: bool = False
    throttled: int | None = None
    size: int | None = None
    lies: Sequence[Span] = ()
    has_lied: bool = False
    requests: list[Sent] = field(default_factory=list)
    cuts: int = 0
    change: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def total(self) -> int:
        """How many bytes it has sent."""
        return sum(each.count for each in self.requests)

    def stir(self) -> None:
        """Wake the requests after a change of an attribute."""
        self.change.set()
        self.change = asyncio.Event()

    def cut(self) -> None:
        """Let all connections break."""
        self.cuts += 1
        self.stir()

    def read(self, span: Span) -> bytes:
        """Return bytes as they are sent."""
        data = bytearray(self.content[span.start : span.stop])
        for lie in self.lies:
            start, stop = max(lie.start, span.start), min(lie.stop, span.stop)
            if start < stop:
                part = slice(start - span.start, stop - span.start)
                data[part] = data[part].translate(FLIPPED)
                self.has_lied = True
        return bytes(data)

    async def wait_while(self, attribute: str, value: object, seconds: float) -> bool:
        """Wait while an attribute has a value; return false if that takes too long."""
        try:
            async with asyncio.timeout(seconds):
                while getattr(self, attribute) == value:
                    await self.change.wait()
        except TimeoutError:
            return False
        return True


class VirtualTransport(httpx.AsyncBaseTransport):
    """Sends each request to the endpoint of its host, whose answers are those of a registry."""

    def __init__(self, endpoints: Sequence[VirtualEndpoint]) -> None:
        self._endpoints = {urlsplit(each.url).netloc: each for each in endpoints}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        endpoint = self._endpoints[request.url.netloc.decode()]
        timeouts = request.extensions["timeout"]
        if not await endpoint.wait_while("has_connection", False, timeouts["connect"]):
            raise httpx.ConnectTimeout("no connection", request=request)
        await asyncio.sleep(min(endpoint.delay, timeouts["read"]))
        if endpoint.delay > timeouts["read"]:
            raise httpx.ReadTimeout("no head in time", request=request)
        if endpoint.throttled is not None:
            headers = {"Retry-After": str(endpoint.throttled)}
            return httpx.Response(429, headers=headers, request=request)
        size = len(endpoint.content) if endpoint.size is None else endpoint.size
        headers, status, span = {}, 200, Span(0, size)
        if given := request.headers.get("range"):
            first, _, last = given.removeprefix("bytes=").partition("-")
            span = Span(int(first), int(last) + 1 if last else size)
            headers["Content-Range"] = f"bytes {span.start}-{span.stop - 1}/{size}"
            status = 206
        headers["Content-Length"] = str(span.length)
        sent = Sent(span)
        endpoint.requests.append(sent)
        return httpx.Response(
            status,
            headers=headers,
            stream=_Body(endpoint, sent, timeouts["read"]),
            request=request,
            extensions={WAITED: endpoint.delay},
        )


class _Body(httpx.AsyncByteStream):
    def __init__(self, endpoint: VirtualEndpoint, sent: Sent, patience: float) -> None:
        self._endpoint = endpoint
        self._sent = sent
        self._patience = patience

    async def __aiter__(self) -> AsyncIterator[bytes]:
        endpoint, sent, cuts = self._endpoint, self._sent, self._endpoint.cuts
        while sent.count < sent.asked.length:
            if not await endpoint.wait_while("is_stalled", True, self._patience):
                raise httpx.ReadTimeout("no byte in time")
            start = sent.asked.start + sent.count
            piece = endpoint.read(Span(start, min(start + CHUNK, sent.asked.stop)))
            await asyncio.sleep(len(piece) / endpoint.rate)
            if cuts != endpoint.cuts or not piece:
                raise httpx.ReadError("cut")
            sent.count += len(piece)
            yield piece

    async def aclose(self) -> None:
        self._sent.is_over = True


def build_pool(
    endpoints: Sequence[VirtualEndpoint], client: httpx.AsyncClient, **options: bool
) -> EndpointPool:
    """Return the real pool of these endpoints, whose time is that of the running event loop."""
    clock = asyncio.get_event_loop().time
    built = []
    for each in endpoints:
        tokens = TokenCache(client, clock)
        login = Login(each.url, None, tokens)
        endpoint = Endpoint(each.url, client, login, clock, lambda _: None)
        endpoint.measured = Measurements(clock)
        built.append(endpoint)
    pool = EndpointPool("docker.io", built, clock, random.Random(1), **options)
    pool._ranking = Ranking("docker.io", built, now=clock)
    return pool


def build_source(
    endpoints: Sequence[VirtualEndpoint], client: httpx.AsyncClient, **options: bool
) -> RegistrySource:
    """Return the real source that asks these endpoints."""
    return RegistrySource("docker.io", build_pool(endpoints, client, **options))


def origin_of(endpoint: VirtualEndpoint) -> str:
    """Return the origin under which an endpoint is known."""
    return split_endpoint(endpoint.url)[0]
