"""The simulated network: endpoints that behave as the script says, below the real HTTP client code.

Everything above `httpx`'s transport is the code of the mirror. Time is that of the event loop.
"""

import asyncio
import math
import random
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

import httpx

from benchmarks.month.script import KIB, MIB, EndpointScript, Fault, Month
from registry.oci.byte_ranges import Span
from registry.upstream.client import STALL
from registry.upstream.httpx_transport import WAITED
from tests.fakes.source import FLIPPED
from tests.fakes.upstream.images import MANIFEST

HOUR = 3600.0
PIECE = 0.15  # seconds of a connection's share that come at once
LEAST, MOST = 8 * KIB, 128 * KIB  # bytes that come at once
REFUSAL = 0.1  # seconds until a connection is refused
RETRY_AFTER = 60  # seconds, in an answer 429
WRONG = 0.05  # part of the requests whose bytes are wrong while an endpoint lies


class SimulatedNetwork(httpx.AsyncBaseTransport):
    """Answers requests to `http://<endpoint>/v2/...`; `blobs` are contents by digest.

    `sent` counts the bytes of blobs that each endpoint has sent.
    """

    def __init__(self, month: Month, blobs: dict[str, memoryview]) -> None:
        days = math.ceil(month.days) + 1  # the last pull may end on the day after
        self._links = {each.name: _Link(each, month.seed, days) for each in month.endpoints}
        self._blobs = blobs

    @property
    def sent(self) -> dict[str, list[int]]:
        """How many bytes of blobs each endpoint has sent on each day, by name."""
        return {name: link.sent for name, link in self._links.items()}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a request as the endpoint does now."""
        link = self._links[request.url.host]
        fault = link.find_fault()
        await link.connect(fault, request)
        if (trace := request.extensions.get("trace")) is not None:
            await trace("http11.send_request_headers.started", {})
        await asyncio.sleep(link.script.delay)
        content = self._blobs.get(request.url.path.rpartition("/")[2])
        if fault is Fault.THROTTLED:
            return link.answer(429, {"Retry-After": str(RETRY_AFTER)})
        if fault is Fault.BROKEN:
            return link.answer(503)
        if content is None:  # `/v2/` itself
            return link.answer(200)
        if "/manifests/" in request.url.path:
            body = httpx.ByteStream(bytes(content))
            return link.answer(200, {"Content-Type": MANIFEST["oci"]}, body)
        if request.method == "HEAD":
            return link.answer(200, {"Content-Length": str(len(content))})
        span, status, headers = _read_range(request.headers.get("range"), len(content))
        return link.answer(status, headers, _Body(link, content, span, link.draw_wrong(fault)))


def _read_range(wanted: str | None, size: int) -> tuple[Span, int, dict[str, str]]:
    """Return the bytes to send for a `Range` header, the status, and the headers."""
    if wanted is None:
        return Span(0, size), 200, {"Content-Length": str(size)}
    first, _, last = wanted.removeprefix("bytes=").partition("-")
    span = Span(int(first), min(size, int(last) + 1) if last else size)
    place = f"bytes {span.start}-{span.stop - 1}/{size}"
    return span, 206, {"Content-Length": str(span.length), "Content-Range": place}


_NOTHING = httpx.ByteStream(b"")


@dataclass(eq=False)
class _Link:
    """One endpoint, and what it has sent."""

    script: EndpointScript
    seed: int
    days: int

    def __post_init__(self) -> None:
        self.sent = [0] * self.days
        self.open = 0
        self._free_at = 0.0
        self.chance = random.Random(f"{self.seed} {self.script.name}")  # noqa: S311 - the same again

    def find_fault(self) -> Fault | None:
        return self.script.find_fault(_now() / HOUR)

    async def connect(self, fault: Fault | None, request: httpx.Request) -> None:
        if fault is Fault.REFUSED:
            await asyncio.sleep(REFUSAL)
            raise httpx.ConnectError("Connection refused")
        if fault is Fault.SILENT:
            await asyncio.sleep(request.extensions["timeout"]["connect"])
            raise httpx.ConnectTimeout("no connection")

    def answer(
        self,
        status: int,
        headers: Mapping[str, str] | None = None,
        body: httpx.AsyncByteStream = _NOTHING,
    ) -> httpx.Response:
        waited = {WAITED: self.script.delay}
        return httpx.Response(status, headers=headers, stream=body, extensions=waited)

    def draw_wrong(self, fault: Fault | None) -> bool:
        return fault is Fault.LYING and self.chance.random() < WRONG

    def choose_piece(self) -> int:
        """Return how many bytes come at once on one of the open connections."""
        share = min(self.script.find_rate(_now() / HOUR) / self.open, self.script.connection_rate)
        return int(min(MOST, max(LEAST, share * PIECE)))

    async def send(self, count: int) -> None:
        """Wait as long as so many bytes need; all connections share the rate."""
        rate = self.script.find_rate(_now() / HOUR)
        self._free_at = max(self._free_at, _now()) + count / rate
        alone = _now() + count / min(rate, self.script.connection_rate)
        await asyncio.sleep(max(self._free_at, alone) - _now())
        self.sent[min(self.days - 1, int(_now() / HOUR / 24))] += count


class _Body(httpx.AsyncByteStream):
    """The bytes of an answer, which may be wrong, stall, or end early."""

    def __init__(self, link: _Link, content: memoryview, span: Span, is_wrong: bool) -> None:
        self._link = link
        self._content = content
        self._span = span
        self._is_wrong = is_wrong

    async def __aiter__(self) -> AsyncIterator[bytes]:
        link, offset, stop = self._link, self._span.start, self._span.stop
        script, chance = link.script, link.chance
        stall_at = (
            offset + chance.randrange(stop - offset) if _happens(link, script.stalls) else stop
        )
        link.open += 1
        try:
            while offset < stop:
                count = min(link.choose_piece(), stop - offset)
                is_dead = link.find_fault() in (Fault.SILENT, Fault.REFUSED)
                if is_dead or offset >= stall_at:
                    await asyncio.sleep(STALL)
                    raise httpx.ReadTimeout("no data in time")
                if chance.random() < script.cuts * count / MIB:
                    raise httpx.ReadError("Connection reset by peer")
                await link.send(count)
                piece = bytes(self._content[offset : offset + count])
                offset += count
                yield piece.translate(FLIPPED) if self._is_wrong else piece
        finally:
            link.open -= 1


def _happens(link: _Link, probability: float) -> bool:
    return link.chance.random() < probability


def _now() -> float:
    return asyncio.get_running_loop().time()
