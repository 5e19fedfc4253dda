"""A circuit breaker: it decides when an endpoint may be asked. Pure; the time is passed in.

Times are seconds of one monotonic clock. A closed breaker lets every request through. It opens
after three failures in a row, for longer each time. When that time is over the breaker is
half-open: one request, the probe, goes through, and the others wait until the probe has ended.
A request whose answer nothing else can replace may be the probe before that time is over.
"""

import math
from dataclasses import dataclass, replace

FAILURES = 3  # failures in a row before the breaker opens
FIRST_OPEN_TIME = 2.0  # seconds; doubles with every further failure
LONGEST_OPEN_TIME = 60.0
PROBE_TIME = 10.0  # seconds for which other requests wait for a probe
THROTTLED_TIME = 60.0  # seconds, if a 429 has no Retry-After
LONGEST_LIMIT_TIME = 6 * 3600.0  # seconds for which a 429 may stop counted requests
LONGEST_THROTTLED_TIME = 120.0  # seconds for other requests, because revalidation waits for them


@dataclass(frozen=True, slots=True)
class CircuitBreaker:
    """The state of one breaker; it is immutable, and every change returns a new state.

    `failures` is the number of failures in a row. `opened_at` is when failures last opened it.
    `open_until` is set by failures, and `throttled_until` by a 429.
    """

    failures: int = 0
    open_until: float = 0.0
    throttled_until: float = 0.0
    probe_until: float = 0.0
    opened_at: float = -math.inf

    @property
    def closed_at(self) -> float:
        """When requests may be sent again, if no probe is running."""
        return max(self.open_until, self.throttled_until)

    def is_open(self, now: float) -> bool:
        """Whether no request may be sent now, for example because a probe has not ended."""
        return now < max(self.closed_at, self.probe_until)

    def is_probing(self, now: float) -> bool:
        """Whether a probe is running."""
        return now < self.probe_until

    def may_probe(self, now: float) -> bool:
        """Whether one request may be sent although failures opened the breaker.

        After a 429 it may not: further requests would prolong the limit.
        """
        return now >= max(self.throttled_until, self.probe_until)

    def admit(self, now: float) -> "CircuitBreaker":
        """Return the state after one request was allowed; `may_probe` must be true.

        The request is the probe, unless the breaker is closed.
        """
        is_closed = self.failures < FAILURES and self.closed_at <= 0
        return self if is_closed else replace(self, probe_until=now + PROBE_TIME)

    def end_probe(self) -> "CircuitBreaker":
        """Return the state after a probe that has shown nothing: another probe may follow."""
        return replace(self, probe_until=0.0)

    def succeed(self) -> "CircuitBreaker":
        """Return the state after a useful answer, which is closed."""
        return replace(self, failures=0, open_until=0.0, throttled_until=0.0, probe_until=0.0)

    def fail(self, now: float, began: float) -> "CircuitBreaker":
        """Return the state after a request that began at `began` got no answer, or a 5xx.

        Requests that began before the breaker opened fail for the same cause, so they do not count
        again.
        """
        if began <= self.opened_at:
            return self
        failures = self.failures + 1
        if failures < FAILURES:
            return replace(self, failures=failures, probe_until=0.0)
        doublings = min(failures - FAILURES, 10)
        open_time = min(LONGEST_OPEN_TIME, FIRST_OPEN_TIME * 2**doublings)
        return replace(
            self,
            failures=failures,
            open_until=max(self.open_until, now + open_time),
            probe_until=0.0,
            opened_at=now,
        )

    def throttle(self, now: float, retry_after: float | None) -> "CircuitBreaker":
        """Return the state after a 429, which is open: further requests would prolong the limit."""
        until = now + throttled_time(retry_after, LONGEST_THROTTLED_TIME)
        return replace(self, throttled_until=max(self.throttled_until, until), probe_until=0.0)


def throttled_time(retry_after: float | None, longest: float) -> float:
    """Return for how many seconds no requests are sent after a 429 with this `retry_after`."""
    return THROTTLED_TIME if retry_after is None else min(max(retry_after, 1.0), longest)
