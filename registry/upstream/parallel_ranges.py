"""Reading one large blob over several connections if one is slow; bytes are yielded in order.

Throttled and distant links give every connection only a small share; several requests for ranges at
once, to several endpoints, use such a link fully. One connection is enough for a fast link, and
further connections would only take CPU time. Every byte is requested once in both cases (decision
records 0007, 0012 and 0032).
"""

import asyncio
import math
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager

from registry.oci.byte_ranges import Span
from registry.upstream.contract import BlobDownload, Chunk, Incoming
from registry.upstream.download_budget import Turn
from registry.upstream.pacing import postponing
from registry.upstream.range_fetch import ALONE, SMALLEST, Note, RangeFetch
from registry.upstream.range_schedule import LARGEST, LEAST
from registry.upstream.range_segment import STALLED, Segment

PER_CONNECTION = 4  # segments for each connection, so that a slow connection delays little
SECONDS = 2.0  # that a segment takes; on a slow link a longer one would need memory for nothing
FAST = 64 * 1024 * 1024  # bytes a second; no other connection is opened for one as fast as this
MEASURE = 0.1  # seconds after which the speed of a running request is measured
FIRST_SECONDS = 1.0  # after which a slow first request ends, if others bring what comes after it


def choose_length(size: int, connections: int, speed: float = math.inf) -> int:
    """Return the length of the segments of `size` bytes; few bytes are one segment.

    `speed` is how many bytes one connection brings in a second.
    """
    if connections < 2 or size < 2 * SMALLEST:
        return size
    longest = min(LARGEST, size // (connections * PER_CONNECTION), speed * SECONDS)
    return max(SMALLEST, int(longest))


def _ignore(_: str, __: int) -> None:
    """Note nothing."""


async def read_in_order(
    download: BlobDownload, start: int, turn: Turn, note: Note = _ignore
) -> AsyncGenerator[Chunk, None]:
    """Yield the blob from `start` to its end, over as many requests at once as `turn` allows.

    The first request is sent alone: its answer shows whether the endpoint has ranges, and its speed
    shows whether further connections help. `note` is called with the endpoint of each chunk, and
    its length, before the chunk is yielded, or as soon as a thread has received it. Raises the
    errors of `BlobDownload.stream`.
    """
    alone = _AloneReading(download, start, turn, note)
    try:
        async with aclosing(alone.read()) as chunks:
            async for chunk in chunks:
                yield chunk
        if alone.fetch is not None:
            async with aclosing(alone.fetch.read()) as chunks:
                async for chunk in chunks:
                    yield chunk
    finally:
        if alone.fetch is not None:
            await alone.fetch.stop()


class _AloneReading:
    """Reads a blob from one connection; if it is slow, `fetch` begins to bring the rest."""

    def __init__(self, download: BlobDownload, start: int, turn: Turn, note: Note) -> None:
        self.fetch: RangeFetch | None = None
        self._download = download
        self._offset = start
        self._turn = turn
        self._note = note
        self._stop: int | None = None  # where the request ends
        self._segment: Segment | None = None  # what the request still brings, beside `fetch`

    async def read(self) -> AsyncGenerator[Chunk, None]:
        """Yield bytes from one connection to the end, or to where `fetch` begins."""
        size, is_first_of_many = self._download.size, False
        has_others = self._has_others()
        if size is not None:
            length = choose_length(size - self._offset, self._turn.connections)
            if has_others:  # they may bring the rest
                length = min(length, LARGEST)
            self._stop = self._offset + length
            is_first_of_many = self._stop < size
        while True:
            speed = _Speed()
            chunks = self._download.receive(
                self._offset, self._stop, may_extend=is_first_of_many, in_thread=self._is_alone
            )
            pieces = self._read_request(chunks, speed, has_others=has_others)
            async with aclosing(pieces):
                async for piece in pieces:
                    yield piece
            size, is_first_of_many = self._download.size, False
            if size is None or self._offset >= size or self.fetch is not None:
                return
            if not self._download.has_ranges:
                # For each range, the endpoint would have to send all bytes before the range too.
                self._stop, has_others = size, self._has_others()
                continue
            if speed.is_slow():
                self._begin_fetch(speed)
                if self.fetch is not None:
                    return
            self._stop = min(self._offset + ALONE, size)
            has_others = self._has_others()

    def _has_others(self) -> bool:
        """Whether more than one endpoint may be asked for ranges now."""
        return len(self._download.list_senders()) > 1

    def _is_alone(self) -> bool:
        return self.fetch is None

    def _count_connections(self) -> int:
        return self._turn.connections * len(self._download.list_senders())

    async def _read_request(
        self, chunks: AsyncGenerator[Chunk, None], speed: "_Speed", *, has_others: bool
    ) -> AsyncGenerator[Chunk, None]:
        """Yield the bytes of one request; it ends early if others bring the rest sooner."""
        async with aclosing(chunks):
            while True:
                try:
                    may_leave = has_others and speed.has_begun and self._may_join(has_others)
                    chunk = await self._read_next(chunks, may_leave=may_leave)
                except TimeoutError:
                    self._leave(speed)
                    return
                if chunk is None:
                    break
                if isinstance(chunk, bytes):
                    chunk = self._receive(chunk, speed)
                    with speed.pause():
                        yield chunk
                else:  # nobody else brings bytes now, so that all of these are wanted
                    with speed.pause(chunk):
                        yield chunk
                    self._count(len(chunk), speed)
                if self._segment is not None and self._segment.is_ended_early:
                    break
                if self._may_join(has_others) and speed.is_slow(after=MEASURE):
                    self._begin_fetch(speed)
        if self._segment is not None and self.fetch is not None:
            self.fetch.end(self._segment)

    async def _read_next(
        self, chunks: AsyncGenerator[Chunk, None], *, may_leave: bool
    ) -> Chunk | None:
        """Return the next chunk; None at the end.

        Raises TimeoutError if the request has stalled, and `may_leave` it.
        """
        if not may_leave:
            return await anext(chunks, None)
        async with asyncio.timeout(STALLED) as limit:
            with postponing(limit, STALLED, self._turn.pace):
                return await anext(chunks, None)

    def _receive(self, chunk: bytes, speed: "_Speed") -> bytes:
        """Count a chunk, and return the part of it that others do not bring."""
        if self._segment is not None and self.fetch is not None:
            chunk = self.fetch.receive(self._segment, chunk)
        self._count(len(chunk), speed)
        return chunk

    def _count(self, count: int, speed: "_Speed") -> None:
        speed.note(count, self._download.endpoint)
        self._offset += count
        self._note(self._download.endpoint, count)

    def _may_join(self, has_others: bool) -> bool:
        """Whether others may bring ranges; whether this endpoint has them may not be known yet."""
        has_ranges = self._download.has_ranges
        return has_others if has_ranges is None else has_ranges

    def _leave(self, speed: "_Speed") -> None:
        """Let others bring what a request has not brought, since it has stalled."""
        self._begin_fetch(speed, is_stalled=True)
        if self.fetch is not None:
            self.fetch.rest(self._download.endpoint)
            if self._segment is not None:
                self.fetch.end(self._segment)
            self.fetch.refill()

    def _begin_fetch(self, speed: "_Speed", *, is_stalled: bool = False) -> None:
        """Let further connections bring what comes after the request that is running.

        They bring everything if that request has stalled.
        """
        if self.fetch is not None:
            self.fetch.refill()
            return
        size, senders = self._download.size, self._download.list_senders()
        if self._stop is None or size is None or self._count_connections() < 2:
            return
        if self._turn.is_held and not is_stalled:  # they could bring nothing more
            return
        rate = speed.measure()
        soon = self._offset + max(LEAST, int(rate * FIRST_SECONDS))
        stop = self._offset if is_stalled else min(self._stop, soon)
        if stop >= size:
            return
        rest = Span(stop, size)
        self.fetch = RangeFetch(self._download, self._turn, rest, senders, self._note)
        self.fetch.learn(self._download.endpoint, rate)
        if stop > self._offset:
            span = Span(self._offset, stop)
            self._segment = self.fetch.adopt(self._download.endpoint, span)
            self._segment.is_shortened = stop < self._stop
        if not is_stalled:
            self.fetch.refill()


class _Speed:
    """Measures the speed of one connection from its first bytes on.

    The time in which others hash and write does not count: if that is slow, since the machine has
    much else to do, further connections would only take more of its time.
    """

    def __init__(self) -> None:
        self._clock = asyncio.get_running_loop().time
        self._paused = 0.0  # seconds that do not count
        self._began: float | None = None
        self._count = 0
        self._origin = ""

    @property
    def has_begun(self) -> bool:
        """Whether bytes have come."""
        return self._began is not None

    def note(self, count: int, origin: str) -> None:
        """Note that `count` more bytes were received, perhaps from another endpoint than before."""
        if self._began is None or origin != self._origin:
            # The first bytes may have been buffered, so they do not show the speed of the link.
            self._began, self._count, self._origin = self._clock(), 0, origin
            self._paused = 0.0
        else:
            self._count += count

    @contextmanager
    def pause(self, incoming: Incoming | None = None) -> Iterator[None]:
        """Do not count the time of a `with` block, except that in which a thread has received."""
        paused_at = self._clock()
        try:
            yield
        finally:
            waited = 0.0 if incoming is None else incoming.waited
            self._paused += max(0.0, self._clock() - paused_at - waited)

    def is_slow(self, *, after: float = 0.0) -> bool:
        """Whether more connections might be faster; false in the first `after` seconds."""
        if self._began is None:
            return False
        elapsed = self._measure_time()
        return elapsed >= after and self._count < FAST * elapsed

    def measure(self) -> float:
        """Return how many bytes have come in a second."""
        elapsed = self._measure_time()
        return self._count / elapsed if elapsed else 0.0

    def _measure_time(self) -> float:
        return 0.0 if self._began is None else self._clock() - self._began - self._paused
