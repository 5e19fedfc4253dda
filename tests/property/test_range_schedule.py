"""A state machine: ranges are handed out, delivered, given back, split and stalled in any order."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from registry.oci.byte_ranges import Span
from registry.upstream.range_schedule import LARGEST, RangeSchedule
from registry.upstream.range_segment import Segment
from registry.upstream.range_sender import Sender

MIB = 1024 * 1024
SIZE = 40 * MIB
START = 3 * MIB
CONNECTIONS = 3
MEMORY = 16 * MIB


class RangesHandedOut(RuleBasedStateMachine):
    """Three endpoints; what is true of the ranges, whatever they do."""

    def __init__(self) -> None:
        super().__init__()
        self.senders = [Sender(number, f"endpoint {number}") for number in range(3)]
        rest = Span(START, SIZE)
        self.schedule = RangeSchedule(rest, self.senders, CONNECTIONS)
        self.now = 0.0
        self.running: list[Segment] = []
        self.ended: list[Segment] = []
        self.asked = 0
        self.given_back = 0

    @property
    def position(self) -> int:
        """The first byte that has not come."""
        position = START
        for segment in sorted((*self.ended, *self.running), key=lambda each: each.start):
            if segment.start > position:
                break
            position = max(position, segment.offset)
        return position

    def _pick(self, number: int) -> Segment:
        return self.running[number % len(self.running)]

    def _end(self, segment: Segment) -> None:
        self.given_back += self.schedule.give_back(segment, self.now)
        self.running.remove(segment)
        self.ended.append(segment)

    @rule(seconds=st.sampled_from([0.01, 0.3, 1.1, 4.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(most=st.integers(1, 8))
    def hand_out(self, most: int) -> None:
        choice = self.schedule.choose(self.now, MEMORY)
        if choice is None:
            return
        sender, span = choice
        assert 0 < span.length <= LARGEST + MIB
        assert sender.running < CONNECTIONS
        assert sender.is_able(self.now)
        span = Span(span.start, span.start + min(span.length, most * MIB))
        self.running.append(self.schedule.begin(sender, span, self.now))
        self.asked += span.length

    @precondition(lambda self: self.running)
    @rule(number=st.integers(0, 20), part=st.floats(0.01, 1.0))
    def receive(self, number: int, part: float) -> None:
        segment = self._pick(number)
        count = max(1, int(segment.left * part)) if segment.left else 0
        if count:
            self.schedule.receive(segment, count, self.now)
        if not segment.left:
            self._end(segment)

    @precondition(lambda self: self.running)
    @rule(number=st.integers(0, 20), seconds=st.sampled_from([None, 0.0, 5.0]))
    def fail(self, number: int, seconds: float | None) -> None:
        segment = self._pick(number)
        segment.sender.rest(self.now, seconds)
        self._end(segment)

    @rule()
    def end_stalled(self) -> None:
        for segment in list(self.schedule.find_stalled(self.position, self.now)):
            assert segment.left
            self._end(segment)

    @rule()
    def help(self) -> None:
        found = self.schedule.find_help(self.position, self.now)
        if found is None:
            return
        former, helping = self.schedule.split(*found, self.now)
        self.running.append(helping)
        assert former.stop == helping.start
        assert former.is_shortened
        self.given_back += helping.length
        self.asked += helping.length
        if not former.left:
            self._end(former)

    @invariant()
    def every_byte_is_somewhere_once(self) -> None:
        """Each byte was received, is asked for, or is open; none is twice anywhere."""
        parts = [Span(each.start, each.offset) for each in self.ended]
        parts += [Span(each.start, each.stop) for each in self.running]
        parts += [Span(each.start, each.stop) for each in self.schedule.list_open()]
        at = START
        for part in sorted(each for each in parts if each.length):
            assert part.start == at, parts
            at = part.stop
        assert at == SIZE

    @invariant()
    def no_byte_is_asked_again_without_a_reason(self) -> None:
        handed_out = sum(each.length for each in self.schedule.list_open())
        assert self.asked - self.given_back == SIZE - START - handed_out

    @invariant()
    def requests_are_counted(self) -> None:
        assert self.schedule.running == len(self.running)
        for sender in self.senders:
            assert 0 <= sender.running <= CONNECTIONS
            assert 1 <= sender.allowed <= CONNECTIONS


RangesHandedOut.TestCase.settings = settings(stateful_step_count=50)
TestRangesHandedOut = RangesHandedOut.TestCase
