"""Fetching ranges of one blob over several connections, and passing on their bytes in order."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress

from registry.errors import Unknown, UpstreamError, UpstreamThrottled, UpstreamUnreachable
from registry.oci.byte_ranges import Span
from registry.upstream.contract import BlobDownload
from registry.upstream.download_budget import Turn
from registry.upstream.failures import EndpointSuspended
from registry.upstream.range_schedule import LEAST, RangeSchedule
from registry.upstream.range_segment import Segment
from registry.upstream.range_sender import FIRST_REST, Sender

SMALLEST = 1024 * 1024  # bytes: the memory that a connection needs at least
ALONE = 128 * 1024 * 1024  # bytes of one request if there is only one connection
MOST_UNREAD = 4  # chunks that a segment without memory may keep
MOST_FAILURES = 5  # of an endpoint whose other connections bring bytes
CHECK = 0.1  # seconds between two checks of what holds up the next byte
LONGEST_THROTTLED = 60.0  # seconds for which an endpoint gets no range after a 429

Note = Callable[[str, int], None]  # is called with an endpoint's origin, and how many bytes it sent


class RangeFetch:
    """Fetches the bytes in `rest` from the `senders`, and yields them in order.

    `note` is called for all bytes that are yielded, in their order.
    """

    def __init__(
        self, download: BlobDownload, turn: Turn, rest: Span, senders: list[Sender], note: Note
    ) -> None:
        self.schedule = RangeSchedule(rest, senders, turn.connections)
        self._download = download
        self._turn = turn
        self._stop = rest.stop
        self._offset = rest.start  # of the next byte to yield
        self._note = note
        self._fetches: list[_Fetch] = []  # sorted; those before the offset have been read
        self._has_news = asyncio.Event()
        self._is_short_of_memory = False
        self._clock = asyncio.get_running_loop().time
        if not all(sender.failures for sender in senders):
            for sender in senders:
                if sender.failures:  # its connection has just broken
                    sender.rest(self._clock(), FIRST_REST)

    async def read(self) -> AsyncGenerator[bytes, None]:
        """Yield all bytes.

        Raises:
            BlobUnknown, UpstreamError: as for `BlobDownload.stream`.
        """
        while self._offset < self._stop:
            self.refill()
            fetch = self._fetches[0] if self._fetches else None
            if fetch is not None and fetch.chunks and fetch.offset == self._offset:
                yield self._take(fetch)
            elif fetch is not None and fetch.is_over and not fetch.chunks:
                self._fetches.pop(0)
                fetch.check()
            elif self.schedule.is_open(self._offset) and self._is_idle():
                async with aclosing(self._read_directly()) as chunks:
                    async for chunk in chunks:
                        yield chunk
            else:
                await self._wait()

    def _is_idle(self) -> bool:
        """Whether no request brings bytes, or waits for the first."""
        return all(fetch.is_over or fetch.is_held for fetch in self._fetches)

    def learn(self, origin: str, rate: float) -> None:
        """Use the rate of the first request, which was alone."""
        self._find(origin).take_over(rate, self._turn.connections)

    def _find(self, origin: str) -> Sender:
        senders = self.schedule.senders
        return next((each for each in senders if each.origin == origin), senders[0])

    def adopt(self, origin: str, span: Span) -> Segment:
        """Count a request that is running already, which somebody else reads; it comes first."""
        self._offset = span.start
        return self.schedule.adopt(self._find(origin), span, self._clock())

    def receive(self, segment: Segment, chunk: bytes) -> bytes:
        """Return the part of a chunk of an adopted request that is wanted of it."""
        chunk = chunk[: segment.left]
        now = self._clock()
        self.schedule.receive(segment, len(chunk), now)
        self._offset = segment.offset
        self._help(now)
        return chunk

    def end(self, segment: Segment) -> None:
        """Go on where an adopted request has ended."""
        self._offset = segment.offset
        self.schedule.give_back(segment, self._clock())

    def rest(self, origin: str) -> None:
        """Give no ranges to an endpoint for some time, since it has stalled."""
        self._find(origin).rest(self._clock())

    def _take(self, fetch: "_Fetch") -> bytes:
        chunk = fetch.chunks.popleft()
        self._offset += len(chunk)
        fetch.offset += len(chunk)
        fetch.was_read.set()
        self._give_back(fetch, len(chunk))
        self._note(fetch.segment.sender.origin, len(chunk))
        return chunk

    def _give_back(self, fetch: "_Fetch", count: int) -> None:
        """Give back memory that a segment does not need any more."""
        count = min(count, fetch.memory)
        fetch.memory -= count
        self._turn.give_back(count)

    async def _wait(self) -> None:
        """Wait for bytes; if there are none, look what holds up the next byte."""
        self._has_news.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(CHECK):
                await self._has_news.wait()
        now = self._clock()
        if self._turn.is_held:
            self.schedule.excuse(now)
        for segment in list(self.schedule.find_stalled(self._offset, now)):
            self._end(segment, now)
        self._help(now)

    def refill(self) -> None:
        """Ask for ranges over all connections that are free."""
        now = self._clock()
        self._is_short_of_memory = False
        while (choice := self.schedule.choose(now, self._turn.share)) is not None:
            sender, span = choice
            least = min(SMALLEST, span.length)
            most = sum(each.allowed for each in self.schedule.senders)
            memory = self._turn.take(span.length, least, self.schedule.running, most)
            self._is_short_of_memory = not memory
            # What comes next needs no memory, because nothing has to come before it.
            if not memory and not self.schedule.is_open(self._offset):
                return
            span = Span(span.start, span.start + (memory or span.length))
            self._start(self.schedule.begin(sender, span, now), memory)

    def _help(self, now: float) -> None:
        """Let idle connections bring the end of a segment that takes long."""
        is_useful = self._is_short_of_memory or self.schedule.is_handed_out
        if not is_useful or self._turn.is_held or self.schedule.running >= self._turn.most:
            return
        if (found := self.schedule.find_help(self._offset, now)) is None:
            return
        former, helping = self.schedule.split(*found, now)
        fetch = next((each for each in self._fetches if each.segment is former), None)
        memory = 0 if fetch is None else min(fetch.memory, helping.left)
        if fetch is not None:
            fetch.memory -= memory
            if not former.left:
                self._end(former, now)
        self._start(helping, memory)

    def _start(self, segment: Segment, memory: int) -> None:
        fetch = _Fetch(segment, memory)
        fetch.task = asyncio.create_task(self._run(fetch))
        self._fetches.append(fetch)
        self._fetches.sort(key=lambda each: each.segment.start)

    async def _run(self, fetch: "_Fetch") -> None:
        segment = fetch.segment
        try:
            span = Span(segment.start, segment.stop)
            async with aclosing(self._download.read_range(segment.sender, span)) as chunks:
                async for chunk in chunks:
                    if not self._receive(fetch, chunk):
                        break
                    await fetch.wait_for_memory()
        except (Unknown, UpstreamError) as error:
            if segment.is_running:
                self._judge(segment, error)
        finally:
            if segment.is_running:
                self._give_back(fetch, self.schedule.give_back(segment, self._clock()))
            self._has_news.set()

    def _receive(self, fetch: "_Fetch", chunk: bytes) -> bool:
        """Keep a chunk of a segment; return whether more of it is wanted."""
        segment = fetch.segment
        if not segment.is_running:
            return False
        chunk = chunk[: segment.left]
        fetch.chunks.append(chunk)
        self.schedule.receive(segment, len(chunk), self._clock())
        if fetch is self._fetches[0]:
            self._has_news.set()
        return not segment.is_ended_early

    def _judge(self, segment: Segment, error: Unknown | UpstreamError) -> None:
        """Decide whether, and from when on, an endpoint that has failed gets further ranges."""
        sender, now = segment.sender, self._clock()
        if isinstance(error, UpstreamThrottled | EndpointSuspended):
            wait = None if error.retry_after is None else min(error.retry_after, LONGEST_THROTTLED)
            sender.rest(now, wait)
        elif not isinstance(error, UpstreamUnreachable):
            sender.is_excluded = True  # its next answer would be the same
        elif segment.received >= LEAST:
            return
        elif sender.failures < MOST_FAILURES and self.schedule.is_sending(sender, now):
            sender.failures += 1  # only this connection broke
        else:
            sender.rest(now)

    def _end(self, segment: Segment, now: float) -> None:
        """Stop a request whose rest others bring."""
        fetch = next(each for each in self._fetches if each.segment is segment)
        self._give_back(fetch, self.schedule.give_back(segment, now))
        fetch.cancel()

    async def _read_directly(self) -> AsyncGenerator[bytes, None]:
        """Yield bytes from whatever endpoint has them; this waits, and tries again."""
        stop = self.schedule.skip(SMALLEST if self.schedule.has_senders else ALONE)
        chunks = self._download.stream(self._offset, stop, may_extend=True)
        async with aclosing(chunks):
            async for chunk in chunks:
                self._offset += len(chunk)
                self._note(self._download.endpoint, len(chunk))
                yield chunk
                if self._offset <= stop:
                    self.refill()
        if self._offset > stop:  # an endpoint without ranges has sent the rest
            await self.stop()

    async def stop(self) -> None:
        """Stop fetching, and delete the chunks that were not read."""
        for fetch in self._fetches:
            fetch.cancel()
        await asyncio.gather(*(fetch.wait() for fetch in self._fetches))
        while self._fetches:
            fetch = self._fetches.pop()
            self._give_back(fetch, fetch.memory)


class _Fetch:
    """A segment that a task fetches, and the chunks of it that were not read yet.

    `offset` is that of the first of these chunks, and `memory` what was taken for them.
    """

    def __init__(self, segment: Segment, memory: int) -> None:
        self.segment = segment
        self.memory = memory
        self.offset = segment.start
        self.chunks: deque[bytes] = deque()
        self.was_read = asyncio.Event()
        self.is_held = False  # whether it waits until chunks are read
        self.task: asyncio.Task[None]
        self._has_memory = bool(memory)

    @property
    def is_over(self) -> bool:
        """Whether no more chunks come."""
        return not self.segment.is_running

    async def wait_for_memory(self) -> None:
        """Wait until enough was read, if no memory was taken."""
        while not self._has_memory and len(self.chunks) > MOST_UNREAD:
            self.is_held = True
            self.was_read.clear()
            await self.was_read.wait()
        self.is_held = False

    def check(self) -> None:
        """Raise the error of the task, if it has crashed."""
        if self.task.done() and not self.task.cancelled():
            self.task.result()

    def cancel(self) -> None:
        """Stop fetching."""
        self.task.cancel()

    async def wait(self) -> None:
        """Wait until the task has ended, with or without an error, or by `cancel`."""
        await asyncio.wait([self.task])
        if not self.task.cancelled():
            self.task.exception()  # asyncio would log an exception that nobody has read
