"""Slowing downloads down: before a download reads more, it waits until its bytes are allowed.

All bytes that were received count, also those that nobody uses, as a request was given up.
Then the buffers of the connection fill, and TCP slows the sender. How much is allowed is decided
elsewhere (`rate_shares.py`); here the downloads of one process wait for it, in turn.
"""

import asyncio
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

from registry.upstream.rate_shares import Demand, ProcessDemand, Shares

SMALLEST = 64 * 1024  # bytes that a download takes at least before it is another's turn
TURN = 0.02  # seconds of the rate that a download takes at once on a faster link
BURST = 0.05  # seconds of the rate that may be caught up after a time without downloads
CHECK = 0.1  # seconds after which a waiting download looks again: the rate may have changed
ACTIVE = 3.0  # seconds after its last bytes for which a download counts
HELD = 0.6  # seconds after its last wait for which a download counts as held back


class Pace(Protocol):
    """How fast a download may be."""

    @property
    def is_limited(self) -> bool:
        """Whether there is a limit now; it may begin and end at any time."""
        ...

    @property
    def is_held(self) -> bool:
        """Whether the download waits because of the limit, or had to wait lately."""
        ...

    def charge(self, count: int) -> None:
        """Count `count` received bytes, also if nobody uses them."""
        ...

    async def wait(self) -> None:
        """Wait until the counted bytes are allowed; to be called before more are read."""
        ...


class Unpaced:
    """A `Pace` without a limit."""

    is_limited = False
    is_held = False

    def charge(self, count: int) -> None:
        """Any number of bytes is allowed."""

    async def wait(self) -> None:
        """They are allowed at once."""


@contextmanager
def postponing(limit: asyncio.Timeout, seconds: float, pace: Pace) -> Iterator[None]:
    """Let `limit` begin again, with so many `seconds`, as long as the pace holds the download."""
    loop = asyncio.get_running_loop()
    timer: asyncio.TimerHandle

    def look() -> None:
        nonlocal timer
        if pace.is_held and not limit.expired():
            limit.reschedule(loop.time() + seconds)
        timer = loop.call_later(seconds / 4, look)

    timer = loop.call_later(seconds / 4, look)
    try:
        yield
    finally:
        timer.cancel()


class Lane:
    """What the downloads of one kind may use in one process, in turn; `clock` is monotonic."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.queue: dict[Pacer, asyncio.Event] = {}  # those that wait, in their turn
        self.rate = math.inf
        self.held_at = -math.inf
        self._clock = clock
        self._level = 0.0  # bytes that are allowed now; below 0, more were taken
        self._filled_at = clock()
        self._taken = 0
        self._used = 0.0
        self._measured_at = clock()

    def set_rate(self, rate: float) -> None:
        """Allow `rate` bytes a second from now on (infinity: any number)."""
        self._fill()
        if math.isinf(self.rate) or math.isinf(rate):
            self._level = 0.0
        self.rate = rate

    def take(self, pacer: "Pacer", count: int) -> int:
        """Take up to `count` bytes; return how many, or 0 if `pacer` has to wait.

        If nobody waits, all are taken as soon as one is allowed: they have been received anyway.
        """
        if self.holds(pacer):
            self.held_at = self._clock()
            return 0
        if self.queue:
            count = min(count, max(SMALLEST, int(min(self.rate, 2**40) * TURN)))
        self.charge(count)
        return count

    def holds(self, pacer: "Pacer") -> bool:
        """Whether `pacer` would have to wait now."""
        self._fill()
        return next(iter(self.queue), pacer) is not pacer or self._level < 0

    def charge(self, count: int) -> None:
        """Take bytes without waiting; those that come next wait longer."""
        self._fill()
        self._taken += count
        if not math.isinf(self.rate):
            self._level -= count

    def find_wait(self) -> float:
        """Return for how many seconds the first of those that wait has to wait."""
        if not self.rate:
            return CHECK
        return min(CHECK, max(0.001, -self._level / self.rate))

    def measure(self, downloads: int) -> Demand:
        """Return what the downloads want, with what they used since the last call."""
        now = self._clock()
        elapsed = now - self._measured_at
        if elapsed > 0:
            weight = min(1.0, elapsed)  # a second of the past counts
            self._used += (self._taken / elapsed - self._used) * weight
            self._taken, self._measured_at = 0, now
        return Demand(downloads, self._used, now - self.held_at < HELD)

    def _fill(self) -> None:
        now = self._clock()
        elapsed, self._filled_at = now - self._filled_at, now
        if not math.isinf(self.rate):
            most = max(float(SMALLEST), self.rate * BURST)
            self._level = min(most, self._level + self.rate * elapsed)


class Link:
    """The link of one process to one upstream: its downloads for clients, and for warming."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.clients = Lane(clock)
        self.warming = Lane(clock)
        self._pacers: set[Pacer] = set()

    @property
    def is_limited(self) -> bool:
        """Whether one of the lanes has a limit."""
        return not math.isinf(self.clients.rate) or not math.isinf(self.warming.rate)

    @property
    def is_warming(self) -> bool:
        """Whether a download is running that no client reads."""
        return not all(each.is_urgent() for each in self._pacers)

    @contextmanager
    def open(self, is_urgent: Callable[[], bool]) -> Iterator["Pacer"]:
        """Yield the pace of one download; `is_urgent` says whether a client reads it now."""
        pacer = Pacer(self, is_urgent, self._clock)
        self._pacers.add(pacer)
        try:
            yield pacer
        finally:
            self._pacers.discard(pacer)
            pacer.end()

    def set_shares(self, shares: Shares) -> None:
        """Let the downloads use these shares from now on."""
        self.clients.set_rate(shares.clients)
        self.warming.set_rate(shares.warming)

    def measure(self) -> ProcessDemand:
        """Return what the downloads of this process want now."""
        active = [each for each in self._pacers if each.is_active]
        urgent = sum(each.is_urgent() for each in active)
        return ProcessDemand(
            self.clients.measure(urgent), self.warming.measure(len(active) - urgent)
        )


class Pacer:
    """The `Pace` of one download, over however many connections it comes."""

    def __init__(
        self, link: Link, is_urgent: Callable[[], bool], clock: Callable[[], float]
    ) -> None:
        self.is_urgent = is_urgent
        self._link = link
        self._clock = clock
        self._received_at = clock()
        self._held_at = -math.inf
        self._debt = 0  # bytes that were received and not allowed yet
        # All connections of a download wait together for one turn: more of them bring it no more.
        self._waiting = asyncio.Lock()

    @property
    def is_active(self) -> bool:
        """Whether the download has begun, received bytes or waited in the last seconds."""
        return self._waiting.locked() or self._clock() - self._received_at < ACTIVE

    @property
    def is_held(self) -> bool:
        """Whether the download had to wait lately, so that more connections bring nothing."""
        if self._waiting.locked() or self._clock() - self._held_at < HELD:
            return True
        return bool(self._debt) and self._find_lane().holds(self)  # it will have to wait next

    @property
    def is_limited(self) -> bool:
        """See `Pace`."""
        return self._link.is_limited and not math.isinf(self._find_lane().rate)

    def charge(self, count: int) -> None:
        """Count received bytes; see `Pace`."""
        self._received_at = self._clock()
        self._debt += count

    async def wait(self) -> None:
        """Wait until the counted bytes are allowed; see `Pace`."""
        if not self._waiting.locked():
            if not self._debt:
                return
            if self._find_lane().take(self, self._debt):
                self._debt = 0
                return
        async with self._waiting:
            while self._debt:
                allowed = await self._take_some()  # meanwhile another connection may charge more
                self._debt -= allowed
            self._held_at = self._received_at = self._clock()

    def end(self) -> None:
        """Let the next downloads wait for the bytes for which this one has not waited."""
        self._find_lane().charge(self._debt)
        self._debt = 0

    def _find_lane(self) -> Lane:
        return self._link.clients if self.is_urgent() else self._link.warming

    async def _take_some(self) -> int:
        """Wait for the turn of this download; return how many bytes were allowed."""
        while True:
            lane = self._find_lane()
            turn = lane.queue.setdefault(self, asyncio.Event())
            try:
                while lane is self._find_lane():
                    if taken := lane.take(self, self._debt):
                        return taken
                    is_first = next(iter(lane.queue)) is self
                    turn.clear()
                    with suppress(TimeoutError):
                        async with asyncio.timeout(lane.find_wait() if is_first else CHECK):
                            await turn.wait()
            finally:
                del lane.queue[self]
                if following := next(iter(lane.queue.values()), None):
                    following.set()
