"""The memory and the connections that all downloads of one process may use together.

Each download that runs has one connection, which needs little memory. The others, and the memory
for what they bring before its turn, are shared equally by the downloads that somebody reads. If
there are as many downloads as connections, further ones wait, and those that somebody reads come
first: for them, a download that nobody reads is paused. If all are read, the upstreams get equally
many connections, so that a slow one does not keep them all (decision record 0026).
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from registry.upstream.pacing import Pace, Unpaced

UNWRITTEN = 4  # one part in so many of the memory is for what was received and not written yet
MOST_WAITING = 200  # downloads that may wait although nobody reads them
DEPTH = 4 * 1024 * 1024  # bytes that one download may have received and not written yet
LEAST_DEPTH = 256 * 1024
THREAD_TIME = 0.12  # seconds that a thread may receive for one download, if there is no other
LEAST_THREAD_TIME = 0.02
CHECK = 1.0  # seconds after which a waiting download looks again whether another can be paused
TURN_WAIT = 20.0  # seconds that a client waits for a turn; most wait for an answer for 30


def share_out(
    memory: int, connections: int, downloads: int, *, own: int, least: int
) -> tuple[int, int]:
    """Return how many connections a download may have, and how many bytes for each of them.

    The budget of `memory` bytes and `connections` is shared by `downloads`. This one wants `own`
    connections, which need `least` bytes each, unless there is only one.
    """
    each = memory // downloads
    most = min(own, connections // downloads, each // least)
    return (1, 0) if most < 2 else (most, each // most)


class Turn:
    """What one download uses of the budget of its process.

    `is_read` says whether somebody reads the download of `upstream`, and `connections` how many it
    may have to each endpoint. `pausing` ends its work if others need its connection.
    """

    def __init__(
        self,
        budget: "DownloadBudget",
        is_read: Callable[[], bool],
        connections: int,
        upstream: str,
    ) -> None:
        self.is_read = is_read
        self.connections = connections
        self.upstream = upstream
        self.pausing: asyncio.Timeout | None = None
        self.taken = 0  # bytes of the memory for segments
        self.pace: Pace = Unpaced()  # of the download, while it runs
        self.free = asyncio.Event()  # set when a waiting download may try again
        self._budget = budget

    def begin(self) -> bool:
        """Whether the download may run now, until it calls `end`; if not, it waits for its turn."""
        return self._budget.begin(self)

    def end(self) -> None:
        """Give the connections of this download back, or take it out of those that wait."""
        self._budget.end(self)

    @property
    def is_waiting(self) -> bool:
        """Whether the download waits, as others use all connections."""
        return self._budget.is_waiting(self)

    @property
    def is_superfluous(self) -> bool:
        """Whether too many downloads wait that nobody reads, and this is one of them."""
        return not self.is_read() and self._budget.is_crowded

    async def wait(self, within: float) -> None:
        """Wait until it may be possible to begin, but at most `within` seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self.free.wait()

    async def begin_within(self, seconds: float) -> bool:
        """Wait at most `seconds` for a connection; return whether the download may run now."""
        try:
            async with asyncio.timeout(seconds):
                while not self.begin():
                    await self.wait(CHECK)
        except TimeoutError:
            return False
        return True

    def take(self, wanted: int, least: int, used: int, most: int | None = None) -> int:
        """Take memory for one more connection than the `used` ones; return for how many bytes.

        They are at most `wanted` bytes, or 0 if others need the connection or the memory. The
        download may have `most` connections (None: those to one endpoint), of which each needs
        `least` bytes.
        """
        taken = self._budget.take(self, wanted, least, used, most or self.connections)
        self.taken += taken
        return taken

    @property
    def is_held(self) -> bool:
        """Whether the rate limit of the mirror itself holds the download back."""
        return self.pace.is_held

    @property
    def share(self) -> int:
        """How many bytes of the memory for segments the download may take."""
        return self._budget.share

    @property
    def most(self) -> int:
        """How many connections the download may have."""
        return self._budget.find_most(self)

    def give_back(self, taken: int) -> None:
        """Give back memory that `take` returned."""
        self.taken -= taken
        self._budget.give_back(taken)

    def find_depth(self) -> int:
        """Return how many bytes the download may have received and not written yet."""
        return self._budget.depth

    def find_thread_time(self) -> float:
        """Return for how many seconds a thread may receive, until others need a thread."""
        return self._budget.thread_time


class DownloadBudget:
    """The budget of one process: `memory` in bytes, and a number of connections.

    Most of the memory is for segments, and the rest for bytes that wait to be written. Downloads
    get further connections only from the first `spread` ones (None: from all).
    """

    def __init__(self, memory: int, connections: int, spread: int | None = None) -> None:
        self._connections = connections
        self._spread = min(connections, connections if spread is None else spread)
        self._unwritten = memory // UNWRITTEN
        self._memory = memory - self._unwritten
        self._taken = 0  # of the memory for segments
        self._running: dict[Turn, None] = {}
        self._waiting: dict[Turn, None] = {}
        # A read download that was paused and has not ended yet: one at a time, since each that
        # waits would pause another one, although only one of them gets the connection.
        self._leaving: Turn | None = None

    def open_turn(self, is_read: Callable[[], bool], connections: int, upstream: str) -> Turn:
        """Return a turn for a new download from `upstream`; it does not run or wait yet."""
        return Turn(self, is_read, connections, upstream)

    @property
    def depth(self) -> int:
        """How many bytes each download may have received and not written yet."""
        return max(LEAST_DEPTH, min(DEPTH, self._unwritten // max(1, len(self._running))))

    @property
    def thread_time(self) -> float:
        """How many seconds a thread may work for each download without a break."""
        return max(LEAST_THREAD_TIME, THREAD_TIME / max(1, len(self._running)))

    @property
    def is_crowded(self) -> bool:
        """Whether too many downloads wait."""
        return len(self._waiting) > MOST_WAITING

    def is_waiting(self, turn: Turn) -> bool:
        """Whether a download waits."""
        return turn in self._waiting

    def begin(self, turn: Turn) -> bool:
        """Let a download run, if there is a connection for it and no other comes first."""
        if turn in self._running:
            return True
        self._waiting[turn] = None
        if turn is self._find_next():
            del self._waiting[turn]
            self._running[turn] = None
            return True
        turn.free.clear()
        if turn.is_read() and len(self._running) >= self._connections:
            self._pause_for(turn)
        return False

    def end(self, turn: Turn) -> None:
        """Let a download neither run nor wait."""
        if turn not in self._running and turn not in self._waiting:
            return
        self._running.pop(turn, None)
        self._waiting.pop(turn, None)
        self._leaving = None if turn is self._leaving else self._leaving
        following = self._find_next()
        if following is not None:
            following.free.set()

    def _find_next(self) -> Turn | None:
        """Return the download that may run now; None if none waits, or there is no connection.

        It is one that is read, of the upstream with the fewest connections, and the first of those.
        """
        if len(self._running) >= self._connections:
            return None
        counts = self._count()
        return min(
            self._waiting,
            key=lambda each: (not each.is_read(), counts[each.upstream]),
            default=None,
        )

    def _count(self) -> Counter[str]:
        """Return how many connections each upstream has."""
        return Counter(turn.upstream for turn in self._running)

    def _pause_for(self, turn: Turn) -> None:
        """Pause one download that nobody reads, or one of an upstream that has more connections.

        It waits, and goes on from the bytes on disk.
        """
        if self._pause(lambda each: not each.is_read()) or self._leaving is not None:
            return
        counts = self._count()
        greedy, most = counts.most_common(1)[0]
        # With only one connection more, the two upstreams would take turns for ever.
        if most > counts[turn.upstream] + 1:
            self._leaving = self._pause(lambda each: each.upstream == greedy)

    def _pause(self, is_wanted: Callable[[Turn], bool]) -> Turn | None:
        """Pause the first download that is wanted; None if there is none that can be paused."""
        for turn in self._running:
            if turn.pausing is not None and is_wanted(turn):
                turn.pausing.reschedule(asyncio.get_running_loop().time())
                turn.pausing = None
                return turn
        return None

    @property
    def share(self) -> int:
        """How many bytes of the memory for segments each download may take."""
        return self._memory // max(1, len(self._running))

    def find_most(self, turn: Turn) -> int:
        """Return how many connections a download may have."""
        return self._connections // max(1, len(self._running)) if turn.is_read() else 1

    def take(self, turn: Turn, wanted: int, least: int, used: int, own: int) -> int:
        """Take memory for a further connection of a download; see `Turn.take`."""
        # A connection more brings nothing, if the limit is ours.
        if not turn.is_read() or turn.is_held:
            return 0
        downloads = max(1, len(self._running))
        most, each = share_out(self._memory, self._spread, downloads, own=own, least=least)
        # What was received and not passed on yet counts too, although its connection is free again.
        left = self.share - turn.taken
        length = min(wanted, each)
        if used >= most or length > left or self._taken + length > self._memory:
            return 0
        self._taken += length
        return length

    def give_back(self, taken: int) -> None:
        """Give back memory that `take` returned."""
        self._taken -= taken
