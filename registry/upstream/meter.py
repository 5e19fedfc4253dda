"""Measuring how fast one endpoint sends the bytes of one blob, over one or several connections."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from registry.upstream.measurements import Measurements
from registry.upstream.pacing import Pace, postponing

INTERVAL = 1.0  # seconds between two notes, so that a long body is known before its end
LEAST_TIME = 0.05  # seconds that a measurement takes at least, unless it has this many bytes:
LEAST_SIZE = 1024 * 1024
T = TypeVar("T")


class Meter:
    """The connections of one blob to one endpoint; `clock` is in seconds.

    `sent` is how many bytes the endpoint has sent.
    """

    def __init__(self, measured: Measurements, clock: Callable[[], float]) -> None:
        self.measured = measured
        self.clock = clock
        self.sent = 0
        self._streams = 0
        self._together: _Span | None = None  # while there is more than one connection

    @contextmanager
    def open_stream(self) -> Iterator["Stream"]:
        """Measure one connection inside the `with` block."""
        stream = Stream(self)
        self._streams += 1
        try:
            yield stream
        except BaseException:
            stream.end(is_broken=True)
            raise
        else:
            stream.end(is_broken=False)
        finally:
            self._streams -= 1
            if self._streams < 2:
                self._together = None

    def receive(self, size: int, now: float) -> None:
        """Note that one of the connections brought `size` bytes."""
        self.sent += size
        self.measured.received += size
        if self._streams < 2:
            return
        if self._together is None:
            self._together = _Span(now)
            return
        self._together.count += size
        seconds = now - self._together.began
        if seconds >= INTERVAL:
            self.measured.note_total(self._together.count, seconds)
            self._together = _Span(now)


class Stream:
    """The bytes of one connection; each call of `receive` is followed by one of `resume`."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._span: _Span | None = None
        self._received_at = 0.0
        self._is_held = False

    def receive(self, size: int) -> None:
        """Note that `size` bytes were received; nothing is read until `resume`."""
        now = self._received_at = self._meter.clock()
        self._is_held = True
        self._meter.receive(size, now)
        if self._span is None:
            # The first bytes may have been buffered, so they do not show the speed of the link.
            self._span = _Span(now)
            return
        self._span.count += size
        if now >= self._span.began + INTERVAL:
            self._note(self._span, now)
            self._span = _Span(now)

    def hand_over(self) -> None:
        """Note that a thread may read from now on, until `take_back` is called."""
        self._received_at = self._meter.clock()
        self._is_held = True

    def take_back(self, size: int, waited: float) -> None:
        """Do as `receive`, for `size` bytes of a thread that has read for `waited` seconds.

        In the rest of the time since `hand_over`, it wrote the bytes, or others had its processor.
        """
        if self._span is not None:
            self._span.held += max(0.0, self._meter.clock() - self._received_at - waited)
        self.receive(size)

    def resume(self) -> None:
        """Note that the bytes were taken, and more are read."""
        self._is_held = False
        if self._span is not None:
            self._span.held += self._meter.clock() - self._received_at

    def end(self, *, is_broken: bool) -> None:
        """Note what was measured since the last note; a broken body may have stalled before."""
        if self._span is not None:
            has_waited = is_broken and not self._is_held
            self._note(self._span, self._meter.clock() if has_waited else self._received_at)

    def _note(self, span: "_Span", now: float) -> None:
        seconds = now - span.began
        if seconds <= 0.0 or (seconds < LEAST_TIME and span.count < LEAST_SIZE):
            return
        # If the reader was slower than the endpoint, the endpoint is at least as fast as that.
        known = self._meter.measured.performance.rate or 0.0
        if span.held <= seconds / 2 or span.count > known * seconds:
            self._meter.measured.note_rate(span.count, seconds)


class _Span:
    """What was received since `began`."""

    __slots__ = ("began", "count", "held")

    def __init__(self, began: float) -> None:
        self.began = began
        self.count = 0
        self.held = 0.0  # seconds in which nothing was read


async def within(seconds: float, chunks: AsyncGenerator[T, None], pace: Pace) -> AsyncIterator[T]:
    """Yield chunks for so many seconds, in which `pace` does not hold; the caller closes `chunks`.

    Raises:
        TimeoutError: there were more chunks than that.
    """
    until = asyncio.get_running_loop().time() + seconds
    while True:
        async with asyncio.timeout_at(until) as limit:
            with postponing(limit, seconds, pace):
                chunk = await anext(chunks, None)
        until = limit.when() or until
        if chunk is None:
            return
        yield chunk
