"""Several connections for one large blob, joined in order within bounded memory.

A link that gives every connection a small share, as throttled and far links do, is used fully by
asking for several ranges at once. Every byte is still asked for once.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Collection
from contextlib import aclosing, suppress

from registry.oci.span import Span
from registry.upstream.source import Transfer

SMALLEST = 1024 * 1024  # bytes of a segment
LARGEST = 8 * 1024 * 1024  # bytes; times the connections, this bounds the memory of a transfer
PER_CONNECTION = 4  # segments each connection gets, so that a slow one holds up little

GLANCE = 0.1  # seconds between two looks whether there still are ranges


def plan_segments(start: int, size: int, connections: int) -> list[Span]:
    """Cut `start` to `size` into spans to fetch side by side; a single one where it is small."""
    if connections < 2 or size - start < 2 * SMALLEST:
        return [Span(start, size)]
    each = (size - start) // (connections * PER_CONNECTION)
    length = max(SMALLEST, min(LARGEST, each))
    return [Span(at, min(at + length, size)) for at in range(start, size, length)]


async def read_in_order(
    transfer: Transfer, start: int, connections: int
) -> AsyncGenerator[bytes, None]:
    """Yield the blob from `start` to its end, over up to `connections` ranged requests at once.

    The first request goes alone: only its answer shows whether the endpoint knows ranges. Raises
    as `Transfer.stream` does.
    """
    if transfer.size is None:
        segments = []
        first = transfer.stream(start, None)
    else:
        head, *segments = plan_segments(start, transfer.size, connections)
        first = transfer.stream(head.start, head.stop, may_extend=bool(segments))
    ahead: deque[_Segment] = deque()
    try:
        async with aclosing(first) as chunks:
            async for chunk in chunks:
                if transfer.has_ranges and segments and not ahead:
                    ahead.extend(_Segment(transfer, span) for span in segments[: connections - 1])
                start += len(chunk)
                yield chunk
        waiting = deque(segments[len(ahead) :])
        while ahead and transfer.has_ranges:
            async with aclosing(ahead[0].read()) as chunks:
                async for chunk in chunks:
                    start += len(chunk)
                    yield chunk
            if ahead[0].is_read:
                ahead.popleft()
            while waiting and len(ahead) < connections:
                ahead.append(_Segment(transfer, waiting.popleft()))
    finally:
        await _stop(ahead)
    if transfer.size is not None and start < transfer.size:
        # Ranges went away on the way. Every range would now cost all the bytes before it.
        async with aclosing(transfer.stream(start, transfer.size)) as chunks:
            async for chunk in chunks:
                yield chunk


async def _stop(segments: Collection["_Segment"]) -> None:
    for segment in segments:
        segment.cancel()
    await asyncio.gather(*(segment.ended() for segment in segments))


class _Segment:
    """One span being fetched in a task of its own, and what has come of it so far."""

    def __init__(self, transfer: Transfer, span: Span) -> None:
        self._chunks: deque[bytes] = deque()
        self._came = asyncio.Event()
        self._is_over = False
        self._transfer = transfer
        self.is_read = False  # to its end
        self._task = asyncio.create_task(self._fetch(transfer, span))

    async def _fetch(self, transfer: Transfer, span: Span) -> None:
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
