"""One endpoint that sends ranges of a blob: how fast it is, and how many requests it gets. Pure."""

import math
from dataclasses import dataclass

GUESS = 1024 * 1024.0  # bytes per second of an endpoint of which nothing is known
FIRST_REST = 1.0  # seconds for which an endpoint gets no range after a failure
LONGEST_REST = 30.0
NEW = 0.5  # the weight of a new measurement
TRIAL = 0.25  # seconds for which the requests of an endpoint are measured together
IDLE = 0.02  # seconds; a longer time with fewer requests is not measured
LEAST_ALLOWED = 2  # requests, so that one sends bytes while another one waits for its first
GAIN = 1.15  # twice as many requests have to bring so many times as much
SETTLED = 3.0  # seconds until they are doubled again, if that has brought nothing


@dataclass(eq=False, slots=True)
class Sender:
    """One endpoint that sends ranges of the blob; `number` says which one, best first.

    `rate` is what all its connections bring together in bytes per second, and `first_byte` the
    seconds to the first byte of an answer; None: not known. `running` counts its requests, of which
    it may have `allowed`. It gets no range until `rests_until`, and none at all if it
    `is_excluded`. `failures` counts those since its last success.

    Some endpoints limit each connection, and others what all bring together. So requests are
    doubled as long as they bring more.
    """

    number: int
    origin: str = ""
    rate: float | None = None
    first_byte: float | None = None
    running: int = 0
    allowed: int = 1
    rests_until: float = 0.0
    failures: int = 0
    is_excluded: bool = False
    _former_rate: float = 0.0  # with half as many requests
    _is_trial: bool = False  # whether the requests were doubled, to see what that brings
    _settled_until: float = 0.0
    _counted_from: float = math.inf
    _count: int = 0
    _idle_from: float = math.inf

    def is_able(self, now: float) -> bool:
        """Whether it may get a range now."""
        return not self.is_excluded and now >= self.rests_until

    @property
    def likely_rate(self) -> float:
        """What it brings, or a guess; bytes per second."""
        return GUESS if self.rate is None else max(self.rate, 1.0)

    def find_share(self, requests: int) -> float:
        """Return what each of so many requests brings at least, if they bring no more together."""
        return self.likely_rate / max(1, requests)

    def rest(self, now: float, seconds: float | None = None) -> None:
        """Get no range for `seconds`; without a number, for longer after each failure."""
        longer = min(LONGEST_REST, FIRST_REST * 2**self.failures)
        self.failures = min(self.failures + 1, 16)
        self.rests_until = max(self.rests_until, now + (longer if seconds is None else seconds))

    def note_first_byte(self, seconds: float) -> None:
        """Note after how many seconds a first byte has come."""
        self.first_byte = _mix(self.first_byte, seconds)

    def begin(self, now: float) -> None:
        """Note that a request has begun."""
        self.running += 1
        if self.running >= self.allowed:
            if now - self._idle_from > IDLE:
                self._counted_from, self._count = math.inf, 0
            self._idle_from = math.inf

    def end(self, now: float) -> None:
        """Note that a request has ended."""
        self.running -= 1
        if self.running < self.allowed:
            self._idle_from = min(self._idle_from, now)

    def note_bytes(self, count: int, now: float, most: int, *, are_all_sending: bool) -> None:
        """Note that bytes have come; it may have at most `most` requests.

        The measurement begins when all requests send bytes, and goes on as long as all that are
        allowed are running.
        """
        if self.running < self.allowed:
            return
        if math.isinf(self._counted_from):
            self._counted_from = now if are_all_sending else math.inf
            return
        self._count += count
        seconds = now - self._counted_from
        if seconds < TRIAL:
            return
        rate = self._count / seconds
        self.rate = _mix(self.rate, rate) if now < self._settled_until else rate
        self._counted_from, self._count = now, 0
        self._grow(rate, now, most)

    def take_over(self, rate: float, most: int) -> None:
        """Use what a request that is running already has shown; it is the only one."""
        self._former_rate, self._is_trial = rate, True
        self.allowed = max(self.allowed, min(most, 2))
        # If it may have many at once, each of them may be as fast as this one.
        self.rate = rate * self.allowed / min(most, 2) or self.rate

    def _grow(self, rate: float, now: float, most: int) -> None:
        """Double the requests, if that may bring more; if it has not, halve them for some time."""
        if now < self._settled_until:
            return
        is_trial, self._is_trial = self._is_trial, False
        if is_trial and rate < GAIN * self._former_rate:
            self.allowed = max(min(most, LEAST_ALLOWED), self.allowed // 2)
            self._settled_until = now + SETTLED
        elif self.allowed < most:
            self._former_rate, self._is_trial = rate, True
            self.allowed = min(most, 2 * self.allowed)
            self._counted_from = math.inf


def _mix(former: float | None, new: float) -> float:
    return new if former is None else former + NEW * (new - former)
