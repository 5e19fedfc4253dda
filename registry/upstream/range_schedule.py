"""Which endpoint fetches which range of a blob next; pure: without input, output and clock.

The ranges of one blob are handed out as they are worked off. A fast endpoint gets longer ranges and
more of them, and one that stalls or fails gives back what it has not sent (decision record 0032).
All times are seconds of one clock, and all rates are bytes per second.
"""

from collections.abc import Iterator, Sequence

from registry.oci.byte_ranges import Span
from registry.upstream.range_segment import STALLED, Segment
from registry.upstream.range_sender import Sender

LEAST = 256 * 1024  # bytes of a range; each request takes time and CPU time
LARGEST = 8 * 1024 * 1024  # bytes of a range, which needs this memory
SECONDS = 1.5  # that a range takes, so that a slow endpoint holds up little
FIRST_BYTES = 10.0  # a range may take that many times as long as its first byte...
LEAST_FIRST_BYTES = 2.0  # ...and takes at least that many times as long
AHEAD = 0.5  # part of the memory that is for what is being received; the rest waits for its turn
ENDING = 0.5  # part of the time for the whole rest that one range takes, so that all end together
LIKELY_FIRST_BYTE = 0.5  # seconds, of an endpoint of which nothing is known
HELP = 0.5  # seconds that a range still takes at least if another connection helps with it
BEHIND = 0.5  # part of the usual rate; a slower connection is helped by the same endpoint too
LEAST_HELP = 64 * 1024  # bytes


class RangeSchedule:
    """Hands out the bytes in `rest`, of which each sender may have `connections` requests."""

    def __init__(self, rest: Span, senders: Sequence[Sender], connections: int) -> None:
        self.senders = tuple(senders)
        self._connections = connections
        if len(senders) == 1:  # nobody else could bring the bytes sooner
            senders[0].allowed = connections
        self._rest = rest  # nobody was asked for these bytes yet
        self._gaps: list[Segment] = []  # what senders have given back, sorted
        self._running: list[Segment] = []  # sorted

    @property
    def running(self) -> int:
        """How many requests are running."""
        return sum(sender.running for sender in self.senders)

    @property
    def has_senders(self) -> bool:
        """Whether an endpoint may get ranges again, now or later."""
        return not all(sender.is_excluded for sender in self.senders)

    @property
    def is_handed_out(self) -> bool:
        """Whether all bytes are received or asked for."""
        return not self._gaps and not self._rest.length

    def list_open(self) -> list[Span]:
        """Return what is neither received nor asked for, sorted."""
        gaps = [Span(gap.start, gap.stop) for gap in self._gaps]
        return [span for span in (*gaps, self._rest) if span.length]

    def is_open(self, offset: int) -> bool:
        """Whether nobody fetches the byte at `offset`, which is the first that was not read."""
        return not self.is_handed_out and self.list_open()[0].start == offset

    def choose(self, now: float, memory: int) -> tuple[Sender, Span] | None:
        """Return what to ask for next; None if nothing is left, or no endpoint can take it.

        Every endpoint gets one request, the fastest first; further requests go where they bring
        most. `memory` is how many bytes may be received before their turn.
        """
        if self.is_handed_out:
            return None
        gap, span = self._gaps[0] if self._gaps else None, self.list_open()[0]
        able = self._list_able(now)
        able = [each for each in able if not self._is_late(each, now)]
        # Another one comes first, as what has just failed may fail again.
        able = [each for each in able if gap is None or each is not gap.sender] or able
        if not able:
            return None
        if gap is None:
            sender = min(able, key=lambda each: (each.running > 0, -_share_next(each)))
        else:
            sender = max(able, key=_share_next)
        length = self._choose_length(sender, span.length, memory)
        return sender, Span(span.start, span.start + length)

    def _list_able(self, now: float) -> list[Sender]:
        return [
            each
            for each in self.senders
            if each.is_able(now) and each.running < min(each.allowed, self._connections)
        ]

    def _is_late(self, sender: Sender, now: float) -> bool:
        """Whether others that have requests bring everything before a sender brings a range."""
        busy = [each.sender for each in self._running if not each.is_stalled(now)]
        others = [each for each in self.senders if each is not sender and each in busy]
        together = sum(each.rate or 0.0 for each in others)
        left = sum(span.length for span in self.list_open())
        left += sum(each.left for each in self._running)
        return left < together * _find_time(sender, min(LEAST, left))

    def _choose_length(self, sender: Sender, most: int, memory: int) -> int:
        left = sum(span.length for span in self.list_open())
        together = sum(each.likely_rate for each in self.senders if each.running)
        together = max(together, sender.likely_rate)
        first_byte = sender.first_byte or 0.0
        longest = max(SECONDS, FIRST_BYTES * first_byte)
        seconds = min(longest, ENDING * left / together, AHEAD * memory / together)
        seconds = max(seconds, LEAST_FIRST_BYTES * first_byte)
        share = sender.find_share(max(sender.running + 1, sender.allowed))
        length = 2 * LEAST if sender.rate is None else int(share * seconds)
        length = max(LEAST, min(LARGEST, length))
        return most if most < length + LEAST else length

    def begin(self, sender: Sender, span: Span, now: float) -> Segment:
        """Note that a sender is asked for a span, which `choose` has returned, or its beginning."""
        self._take_out(span.stop)
        return self._run(Segment(sender, span.start, span.stop, now, moved_at=now))

    def _take_out(self, stop: int) -> None:
        """Take the first open bytes up to `stop` out of those that nobody was asked for."""
        if not self._gaps:
            self._rest = Span(stop, self._rest.stop)
        elif stop < self._gaps[0].stop:
            self._gaps[0].start = stop
        else:
            self._gaps.pop(0)

    def adopt(self, sender: Sender, span: Span, now: float) -> Segment:
        """Note that a request for the bytes before `rest` is running already, and brings bytes."""
        return self._run(Segment(sender, span.start, span.stop, now, 0, now, moved_at=now))

    def _run(self, segment: Segment) -> Segment:
        segment.sender.begin(segment.began)
        self._running.append(segment)
        self._running.sort(key=lambda each: each.start)
        return segment

    def receive(self, segment: Segment, count: int, now: float) -> None:
        """Note that `count` bytes of a segment have come."""
        if segment.first_at is None:
            segment.first_at, segment.first_size = now, count
            segment.sender.note_first_byte(now - segment.began)
        segment.received += count
        segment.moved_at = now
        own = [each for each in self._running if each.sender is segment.sender]
        are_sending = all(each.first_at is not None for each in own)
        segment.sender.note_bytes(count, now, self._connections, are_all_sending=are_sending)
        if segment.sender.failures and segment.received >= LEAST:
            segment.sender.failures = 0

    def skip(self, most: int) -> int:
        """Take at most `most` of the first open bytes out of the hands; return where they end."""
        first = self.list_open()[0]
        stop = min(first.stop, first.start + most)
        self._take_out(stop)
        return stop

    def give_back(self, segment: Segment, now: float) -> int:
        """End a segment; others get what it has not brought, of which this returns the size."""
        self._end(segment, now)
        left = segment.left
        if left:
            gap = Segment(segment.sender, segment.offset, segment.stop, now)
            segment.stop = segment.offset
            self._gaps.append(gap)
            self._gaps.sort(key=lambda each: each.start)
        return left

    def _end(self, segment: Segment, now: float) -> None:
        segment.is_running = False
        segment.sender.end(now)
        self._running.remove(segment)

    def is_sending(self, sender: Sender, now: float) -> bool:
        """Whether one of the running requests of a sender brings bytes."""
        return any(
            each.sender is sender and each.received and now - each.moved_at < STALLED
            for each in self._running
        )

    def excuse(self, now: float) -> None:
        """Note that nothing was read until now, so that no segment counts as stalled."""
        for segment in self._running:
            segment.moved_at = now

    def find_stalled(self, offset: int, now: float) -> Iterator[Segment]:
        """Yield the segments to give back, since they hold up the byte at `offset`.

        They are all that have stalled of one endpoint, which then rests. Without another endpoint
        there are none.
        """
        first = self._running[0] if self._running else None
        if first is None or not (first.start <= offset or self.is_open(offset)):
            return
        if not first.is_stalled(now):
            return
        others = [each for each in self.senders if each is not first.sender]
        if not any(each.is_able(now) for each in others):
            return
        first.sender.rest(now)
        for segment in list(self._running):
            if segment.sender is first.sender and segment.is_stalled(now):
                yield segment

    def find_help(self, offset: int, now: float) -> tuple[Sender, Span] | None:
        """Return the end of a running segment that an idle connection can bring sooner.

        At the end of the blob it is the segment that takes longest. Before, it is the one that
        holds up the byte at `offset`: the connections are idle, as there is no more memory.
        """
        waiting = self._running if self.is_handed_out else self._running[:1]
        waiting = [each for each in waiting if self.is_handed_out or each.start <= offset]
        if not waiting:
            return None
        slowest = max(waiting, key=lambda each: each.estimate(now))
        seconds = slowest.estimate(now)
        rate = slowest.left / max(seconds, 0.001)
        able = [
            each
            for each in self._list_able(now)
            if each is not slowest.sender or rate < BEHIND * _share_next(each)
        ]
        if not able or seconds < HELP:
            return None
        helper = max(able, key=_share_next)
        waited = now - slowest.began
        is_silent = slowest.first_at is None and helper is not slowest.sender
        if is_silent and waited >= _find_time(helper, slowest.left):
            return helper, Span(slowest.start, slowest.stop)  # it may never answer
        # Both end at the same time.
        gained = seconds - (helper.first_byte or 0.0)
        share = _share_next(helper)
        length = int(gained * rate * share / (rate + share))
        length = min(length, slowest.left)
        if length < LEAST_HELP:
            return None
        return helper, Span(slowest.stop - length, slowest.stop)

    def split(self, helper: Sender, span: Span, now: float) -> tuple[Segment, Segment]:
        """Let `helper` bring the end of a segment; return both segments, the shorter one first."""
        former = next(each for each in self._running if each.start <= span.start < each.stop)
        former.stop, former.is_shortened = span.stop - span.length, True
        return former, self._run(Segment(helper, span.start, span.stop, now, moved_at=now))


def _share_next(sender: Sender) -> float:
    """Return what a further request of a sender brings at least, in bytes per second."""
    return sender.find_share(sender.running + 1)


def _find_time(sender: Sender, size: int) -> float:
    """Return how many seconds a further request of a sender takes for `size` bytes."""
    first_byte = LIKELY_FIRST_BYTE if sender.first_byte is None else sender.first_byte
    return first_byte + size / _share_next(sender)
