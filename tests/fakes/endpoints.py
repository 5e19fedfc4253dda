"""One blob at several simulated endpoints, whose rates and faults are of the loop's clock.

With `tests.property.virtual_loop` a download of minutes takes no time, and is the same every time.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from registry.errors import UpstreamError
from registry.oci.byte_ranges import Span
from registry.upstream.contract import Chunk
from registry.upstream.pacing import Pace, Unpaced
from registry.upstream.range_sender import Sender

CHUNK = 64 * 1024  # bytes that are sent at a time
TRIES = 5  # of each endpoint without a byte, before a download fails
WAIT = 1.0  # seconds between two of them

# Returns the error with which a request fails at an offset of the blob, None if it goes on, or how
# many seconds it sends nothing.
Fault = Callable[[int], UpstreamError | float | None]


@dataclass
class SimulatedEndpoint:
    """One endpoint: `rate` for all requests together and `connection_rate` for each, in bytes/s.

    `delay` is the time to the first byte in seconds. `fault` is asked before each chunk. `is_lying`
    changes every letter, and `lies` are spans in which every letter is changed. `sent` are the
    spans that it has sent, and `most` how many requests it has answered at once.
    """

    name: str
    rate: float = 1e12
    connection_rate: float = 1e12
    delay: float = 0.0
    fault: Fault = lambda _: None
    is_lying: bool = False
    lies: Sequence[Span] = ()
    has_ranges: bool = True
    sent: list[Span] = field(default_factory=list)
    most: int = 0
    _open: int = 0
    _free_at: float = 0.0

    async def send(self, content: bytes, span: Span) -> AsyncGenerator[bytes, None]:
        self._open += 1
        self.most = max(self.most, self._open)
        offset = span.start
        try:
            await asyncio.sleep(self.delay)
            while offset < span.stop:
                happens = self.fault(offset)
                if isinstance(happens, UpstreamError):
                    raise happens
                if happens is not None:
                    await asyncio.sleep(happens)
                chunk = content[offset : min(offset + CHUNK, span.stop)]
                await self._wait_for_link(len(chunk))
                yield self._change(Span(offset, offset + len(chunk)), chunk)
                offset += len(chunk)
        finally:
            self._open -= 1
            self.sent.append(Span(span.start, offset))

    def _change(self, span: Span, chunk: bytes) -> bytes:
        if self.is_lying:
            return chunk.swapcase()
        changed = bytearray(chunk)
        for lie in self.lies:
            part = slice(max(lie.start - span.start, 0), max(lie.stop - span.start, 0))
            changed[part] = changed[part].swapcase()
        return bytes(changed)

    async def _wait_for_link(self, count: int) -> None:
        clock = asyncio.get_running_loop().time
        self._free_at = max(self._free_at, clock()) + count / self.rate
        wait = max(self._free_at - clock(), count / self.connection_rate)
        await asyncio.sleep(wait)

    @property
    def total(self) -> int:
        """How many bytes it has sent."""
        return sum(span.length for span in self.sent)


class SimulatedDownload:
    """A `BlobDownload` of `content` from these endpoints, the best one first.

    Clients may not read bytes of those in `unproven` before the digest was right.
    """

    def __init__(
        self,
        content: bytes,
        endpoints: Sequence[SimulatedEndpoint],
        pace: Pace | None = None,
        unproven: Collection[str] = (),
    ) -> None:
        self.size: int | None = len(content)
        self.endpoint = ""
        self.has_ranges: bool | None = None
        self.endpoints = list(endpoints)
        self.liars: list[str] = []
        self.acquitted: list[str] = []
        self.excluded: Collection[str] = ()
        self.unproven = set(unproven)
        self._content = content
        self._pace = pace or Unpaced()

    async def stream(
        self, start: int, stop: int | None, *, may_extend: bool = False
    ) -> AsyncGenerator[bytes, None]:
        stop = len(self._content) if stop is None else stop
        failures = 0
        while True:
            endpoint = self.endpoints[failures % len(self.endpoints)]
            span = Span(start, stop)
            try:
                async with aclosing(endpoint.send(self._content, span)) as chunks:
                    async for chunk in chunks:
                        start += len(chunk)
                        failures = 0
                        self.endpoint, self.has_ranges = endpoint.name, endpoint.has_ranges
                        self._pace.charge(len(chunk))
                        yield chunk
                        await self._pace.wait()
            except UpstreamError:
                failures += 1
                if failures == TRIES * len(self.endpoints):
                    raise
                await asyncio.sleep(WAIT if failures % len(self.endpoints) == 0 else 0)
            else:
                return

    def receive(
        self,
        start: int,
        stop: int | None,
        *,
        may_extend: bool = False,
        in_thread: Callable[[], bool],
    ) -> AsyncGenerator[Chunk, None]:
        return self.stream(start, stop, may_extend=may_extend)

    def list_senders(self) -> list[Sender]:
        return [
            Sender(number, endpoint.name)
            for number, endpoint in enumerate(self.endpoints)
            if endpoint.has_ranges
        ]

    async def read_range(self, sender: Sender, span: Span) -> AsyncGenerator[bytes, None]:
        endpoint = self.endpoints[sender.number]
        async with aclosing(endpoint.send(self._content, span)) as chunks:
            async for chunk in chunks:
                self._pace.charge(len(chunk))
                yield chunk
                await self._pace.wait()

    def mark_suspect(self, *origins: str) -> Sequence[str]:
        return origins or [endpoint.name for endpoint in self.endpoints]

    def mark_right(self) -> None: ...

    def mark_wrong(self, origin: str) -> None:
        self.liars.append(origin)

    def acquit(self, *origins: str) -> None:
        self.acquitted += origins

    def exclude(self, origins: Collection[str]) -> bool:
        self.excluded = tuple(origins)
        return not {endpoint.name for endpoint in self.endpoints}.issubset(origins)

    def needs_proof(self, origins: Iterable[str]) -> bool:
        return bool(self.unproven.intersection(origins))

    def require_proof(self, *, or_marked: bool = False) -> None:
        self.endpoints = [each for each in self.endpoints if each.name not in self.unproven]

    @property
    def sent(self) -> int:
        """How many bytes all endpoints have sent together."""
        return sum(endpoint.total for endpoint in self.endpoints)
