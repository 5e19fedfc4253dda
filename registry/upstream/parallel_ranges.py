"""Reading one large blob over several connections if one is slow; bytes are yielded in order.

Throttled and distant links give every connection only a small share; several requests for ranges at
once use such a link fully. One connection is enough for a fast link, and further connections would
only take CPU time. Every byte is requested once in both cases (decision records 0007 and 0012).
"""

import asyncio
import math
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

from registry.oci.byte_ranges import Span
from registry.upstream.contract import BlobDownload, Chunk
from registry.upstream.download_budget import Turn

SMALLEST = 1024 * 1024  # bytes of a segment
LARGEST = 8 * 1024 * 1024  # bytes; a download needs at most this memory for each connection
PER_CONNECTION = 4  # segments for each connection, so that a slow connection delays little
SECONDS = 2.0  # that a segment takes; on a slow link a longer one would need memory for nothing
ALONE = 128 * 1024 * 1024  # bytes of one request if there is only one connection
FAST = 64 * 1024 * 1024  # bytes a second; no other connection is opened for one as fast as this
MEASURE = 0.1  # seconds after which the speed of a running request is measured
RANGES_CHECK = 0.1  # seconds between two checks whether the endpoint still has ranges


def choose_length(size: int, connections: int, speed: float = math.inf) -> int:
    """Return the length of the segments of `size` bytes; few bytes are one segment.

    `speed` is how many bytes one connection brings in a second.
    """
    if connections < 2 or size < 2 * SMALLEST:
        return size
    longest = min(LARGEST, size // (connections * PER_CONNECTION), speed * SECONDS)
    return max(SMALLEST, int(longest))


async def read_in_order(
    download: BlobDownload, start: int, turn: Turn
) -> AsyncGenerator[Chunk, None]:
    """Yield the blob from `start` to its end, over as many requests at once as `turn` allows.

    The first request is sent alone: its answer shows whether the endpoint has ranges, and its speed
    shows whether further connections help. Raises the errors of `BlobDownload.stream`.
    """
    parallel = _ParallelFetch(download, turn)
    try:
        async with aclosing(_read_alone(download, start, parallel)) as chunks:
            async for chunk in chunks:
                yield chunk
                start += len(chunk)
        async with aclosing(parallel.read()) as chunks:
            async for chunk in chunks:
                yield chunk
                start += len(chunk)
    finally:
        await parallel.stop()
    if download.size is not None and start < download.size:
        # The endpoint has no ranges any more, so one request reads the rest. For each segment, it
        # would have to send all bytes before the segment too.
        async with aclosing(download.receive(start, download.size)) as chunks:
            async for chunk in chunks:
                yield chunk


async def _read_alone(
    download: BlobDownload, start: int, parallel: "_ParallelFetch"
) -> AsyncGenerator[Chunk, None]:
    """Yield bytes from one connection to the end, or, if it is slow, to where `parallel` begins."""
    if download.size is None:
        stop, is_first_of_many = None, False
    else:
        stop = start + choose_length(download.size - start, parallel.connections)
        is_first_of_many = stop < download.size
    while True:
        speed = _Speed()
        async with aclosing(download.receive(start, stop, may_extend=is_first_of_many)) as chunks:
            async for chunk in chunks:
                yield chunk
                start += len(chunk)  # only now: a thread may have received it meanwhile
                speed.note(len(chunk))
                if download.has_ranges and speed.is_slow(after=MEASURE):
                    parallel.fetch_after(stop, speed.measure())
        if download.size is None or start >= download.size or not download.has_ranges:
            return
        if speed.is_slow():
            parallel.fetch_after(stop, speed.measure())
        if parallel.has_begun:
            return
        stop, is_first_of_many = min(start + ALONE, download.size), False


class _Speed:
    """Measures the speed of one connection from its first bytes on."""

    def __init__(self) -> None:
        self._clock = asyncio.get_running_loop().time
        self._began: float | None = None
        self._count = 0

    def note(self, count: int) -> None:
        """Note that `count` more bytes were received."""
        if self._began is None:
            # The first bytes may have been buffered, so they do not show the speed of the link.
            self._began = self._clock()
        else:
            self._count += count

    def is_slow(self, *, after: float = 0.0) -> bool:
        """Whether more connections might be faster; false in the first `after` seconds."""
        if self._began is None:
            return False
        elapsed = self._clock() - self._began
        return elapsed >= after and self._count < FAST * elapsed

    def measure(self) -> float:
        """Return how many bytes have come in a second."""
        elapsed = 0.0 if self._began is None else self._clock() - self._began
        return self._count / elapsed if elapsed else 0.0


class _ParallelFetch:
    """Segments that are fetched at the same time, beginning at the offset of `fetch_after`."""

    def __init__(self, download: BlobDownload, turn: Turn) -> None:
        self.connections = turn.connections
        self.has_begun = False
        self._turn = turn
        self._download = download
        self._rest = Span(0, 0)  # that nothing fetches yet
        self._total = 0
        self._speed = 0.0  # of the fastest connection
        self._fetching: deque[_Segment] = deque()

    def fetch_after(self, start: int | None, speed: float) -> None:
        """Fetch the bytes after `start`; one connection with this speed reads those before it.

        Only the first call fixes `start`.
        """
        size = self._download.size
        if self.has_begun:
            self._refill(further=1)
        elif self.connections > 1 and start is not None and size is not None and start < size:
            self.has_begun = True
            self._rest, self._total, self._speed = Span(start, size), size - start, speed
            self._refill(further=1)

    def _refill(self, *, further: int = 0) -> None:
        """Fetch segments over all connections that are free, besides `further` ones in use."""
        while self._rest.length:
            least = min(SMALLEST, self._rest.length)
            used = len(self._fetching) + further
            length = self._turn.take(self._choose_length(), least, used)
            if not length:
                return
            self._fetching.append(_Segment(self._download, self._cut(length)))

    def _choose_length(self) -> int:
        wanted = choose_length(self._total, self.connections, self._speed)
        return min(wanted, self._rest.length)

    def _cut(self, length: int) -> Span:
        """Cut a segment off the rest."""
        start, stop = self._rest.start, self._rest.start + length
        self._rest = Span(stop, self._rest.stop)
        return Span(start, stop)

    async def read(self) -> AsyncGenerator[bytes, None]:
        """Yield the segments in order as long as the endpoint has ranges."""
        while self._download.has_ranges:
            self._refill()
            if self._fetching:
                chunks = self._fetching[0].read()
            elif self._rest.length:
                chunks = self._read_directly(self._cut(self._choose_length()))
            else:
                return
            async with aclosing(chunks):
                async for chunk in chunks:
                    yield chunk
            if self._fetching and self._fetching[0].is_read:
                segment = self._fetching.popleft()
                self._speed = max(self._speed, segment.speed.measure())
                self._turn.give_back(segment.span.length)

    async def _read_directly(self, span: Span) -> AsyncGenerator[bytes, None]:
        """Yield a segment that needs no memory, because nothing has to come before it."""
        async with aclosing(self._download.stream(span.start, span.stop)) as chunks:
            async for chunk in chunks:
                yield chunk
                self._refill(further=1)

    async def stop(self) -> None:
        """Stop fetching, and delete the chunks that were not read."""
        for segment in self._fetching:
            segment.cancel()
        await asyncio.gather(*(segment.wait() for segment in self._fetching))
        while self._fetching:
            self._turn.give_back(self._fetching.popleft().span.length)


class _Segment:
    """A range that a task fetches, and the chunks of the range that were not read yet."""

    def __init__(self, download: BlobDownload, span: Span) -> None:
        self.span = span
        self.speed = _Speed()
        self.is_read = False  # whether all chunks were read
        self._chunks: deque[bytes] = deque()
        self._has_news = asyncio.Event()
        self._is_over = False
        self._download = download
        self._task = asyncio.create_task(self._fetch(download, span))

    async def _fetch(self, download: BlobDownload, span: Span) -> None:
        try:
            async with aclosing(download.stream(span.start, span.stop)) as chunks:
                async for chunk in chunks:
                    self._chunks.append(chunk)
                    self.speed.note(len(chunk))
                    self._has_news.set()
        finally:
            self._is_over = True
            self._has_news.set()

    async def read(self) -> AsyncGenerator[bytes, None]:
        """Yield the chunks as they are received; raise the error of the task.

        Ends early if it turns out that the endpoint has no ranges; see `is_read`.
        """
        while self._chunks or not self._is_over:
            if self._chunks:
                yield self._chunks.popleft()
            elif self._download.has_ranges:
                self._has_news.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(RANGES_CHECK):
                        await self._has_news.wait()
            else:
                return
        await self._task
        self.is_read = True

    def cancel(self) -> None:
        """Stop fetching, and delete the chunks that were not read."""
        self._task.cancel()

    async def wait(self) -> None:
        """Wait until the task has ended, with or without an error, or by `cancel`."""
        await asyncio.wait([self._task])
        if not self._task.cancelled():
            self._task.exception()  # asyncio would log an exception that nobody has read
