"""Several connections for one large blob where one is slow, joined in order in bounded memory.

A link that gives every connection a small share, as throttled and far links do, is used fully by
asking for several ranges at once. A near one is full with one connection, and every further one
only costs. Every byte is asked for once either way.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

from registry.oci.byte_ranges import Span
from registry.upstream.contract import BlobDownload

SMALLEST = 1024 * 1024  # bytes of a segment
LARGEST = 8 * 1024 * 1024  # bytes; times the connections, this bounds the memory of a transfer
PER_CONNECTION = 4  # segments each connection gets, so that a slow one holds up little
STRIDE = 128 * 1024 * 1024  # bytes that one connection alone is asked for at a time
FAST = 64 * 1024 * 1024  # bytes a second from one connection, with which it stays alone
PROBE = 0.1  # seconds until that is judged, if not all was sent before

GLANCE = 0.1  # seconds between two looks whether there still are ranges


def plan_segments(start: int, size: int, connections: int) -> list[Span]:
    """Cut `start` to `size` into spans to fetch side by side; a single one where it is small."""
    if connections < 2 or size - start < 2 * SMALLEST:
        return [Span(start, size)]
    each = (size - start) // (connections * PER_CONNECTION)
    length = max(SMALLEST, min(LARGEST, each))
    return [Span(at, min(at + length, size)) for at in range(start, size, length)]


async def read_in_order(
    transfer: BlobDownload, start: int, connections: int
) -> AsyncGenerator[bytes, None]:
    """Yield the blob from `start` to its end, over up to `connections` ranged requests at once.

    The first request goes alone: its answer shows whether the endpoint knows ranges, and its pace
    whether others would help. Raises as `BlobDownload.stream` does.
    """
    spread = _Spread(transfer, connections)
    try:
        async with aclosing(_read_alone(transfer, start, spread)) as chunks:
            async for chunk in chunks:
                start += len(chunk)
                yield chunk
        async with aclosing(spread.read()) as chunks:
            async for chunk in chunks:
                start += len(chunk)
                yield chunk
    finally:
        await spread.stop()
    if transfer.size is not None and start < transfer.size:
        # Ranges went away on the way. Every range would now cost all the bytes before it.
        async with aclosing(transfer.stream(start, transfer.size)) as chunks:
            async for chunk in chunks:
                yield chunk


async def _read_alone(
    transfer: BlobDownload, start: int, spread: "_Spread"
) -> AsyncGenerator[bytes, None]:
    """Yield from one connection, to the end or to where it was found slow and `spread` begins."""
    if transfer.size is None:
        stop, is_first_of_many = None, False
    else:
        stop = plan_segments(start, transfer.size, spread.connections)[0].stop
        is_first_of_many = stop < transfer.size
    while True:
        pace = _Pace()
        async with aclosing(transfer.stream(start, stop, may_extend=is_first_of_many)) as chunks:
            async for chunk in chunks:
                start += len(chunk)
                yield chunk
                pace.note(len(chunk))
                if transfer.has_ranges and pace.is_slow(after=PROBE):
                    spread.begin(stop)
        if transfer.size is None or start >= transfer.size or not transfer.has_ranges:
            return
        if pace.is_slow():
            spread.begin(stop)
        if spread.has_begun:
            return
        stop, is_first_of_many = min(start + STRIDE, transfer.size), False


class _Pace:
    """How fast one connection is, from its first bytes on."""

    def __init__(self) -> None:
        self._clock = asyncio.get_running_loop().time
        self._began: float | None = None
        self._count = 0

    def note(self, count: int) -> None:
        """Note that `count` more bytes came."""
        if self._began is None:
            self._began = self._clock()  # what waited for us already says nothing of the link
        else:
            self._count += count

    def is_slow(self, *, after: float = 0.0) -> bool:
        """Whether more connections might be faster; not before `after` seconds."""
        if self._began is None:
            return False
        elapsed = self._clock() - self._began
        return elapsed >= after and self._count < FAST * elapsed


class _Spread:
    """Segments being fetched side by side, from where `begin` says."""

    def __init__(self, transfer: BlobDownload, connections: int) -> None:
        self.connections = connections
        self.has_begun = False
        self._transfer = transfer
        self._waiting: deque[Span] = deque()
        self._ahead: deque[_Segment] = deque()

    def begin(self, start: int | None) -> None:
        """Fetch what follows `start`, beside the one connection there is; once only."""
        size = self._transfer.size
        if self.has_begun or self.connections < 2 or start is None or size is None or start >= size:
            return
        self.has_begun = True
        self._waiting.extend(plan_segments(start, size, self.connections))
        self._refill(self.connections - 1)

    def _refill(self, most: int) -> None:
        while self._waiting and len(self._ahead) < most:
            self._ahead.append(_Segment(self._transfer, self._waiting.popleft()))

    async def read(self) -> AsyncGenerator[bytes, None]:
        """Yield the segments in order, while there are ranges."""
        while self._transfer.has_ranges:
            self._refill(self.connections)
            if not self._ahead:
                return
            async with aclosing(self._ahead[0].read()) as chunks:
                async for chunk in chunks:
                    yield chunk
            if self._ahead[0].is_read:
                self._ahead.popleft()

    async def stop(self) -> None:
        """Stop fetching; what has come is dropped."""
        for segment in self._ahead:
            segment.cancel()
        await asyncio.gather(*(segment.ended() for segment in self._ahead))


class _Segment:
    """One span being fetched in a task of its own, and what has come of it so far."""

    def __init__(self, transfer: BlobDownload, span: Span) -> None:
        self._chunks: deque[bytes] = deque()
        self._came = asyncio.Event()
        self._is_over = False
        self._transfer = transfer
        self.is_read = False  # to its end
        self._task = asyncio.create_task(self._fetch(transfer, span))

    async def _fetch(self, transfer: BlobDownload, span: Span) -> None:
        try:
            async with aclosing(transfer.stream(span.start, span.stop)) as chunks:
                async for chunk in chunks:
                    self._chunks.append(chunk)
                    self._came.set()
        finally:
            self._is_over = True
            self._came.set()

    async def read(self) -> AsyncGenerator[bytes, None]:
        """Yield what comes, as it comes; raises what the fetching raised.

        Ends early when the transfer finds that there are no ranges; see `is_read`.
        """
        while self._chunks or not self._is_over:
            if self._chunks:
                yield self._chunks.popleft()
            elif self._transfer.has_ranges:
                self._came.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(GLANCE):
                        await self._came.wait()
            else:
                return
        await self._task
        self.is_read = True

    def cancel(self) -> None:
        """Stop fetching; what has come is dropped."""
        self._task.cancel()

    async def ended(self) -> None:
        """Wait until the fetching is over, however it ended."""
        await asyncio.wait([self._task])
        if not self._task.cancelled():
            self._task.exception()  # looked at: nobody else will
