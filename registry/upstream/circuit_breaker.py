"""When an endpoint is asked and when it is spared: a circuit breaker. Pure; the time is passed in.

Times are seconds of one monotonic clock. A breaker opens after three failures in a row, for longer
each time; when the time is over one caller may try, and the others are spared until that one knows.
"""

import math
from dataclasses import dataclass, replace

FAILURES = 3  # in a row before the breaker opens
FIRST_REST = 2.0  # seconds; doubles with every further failure
LONGEST_REST = 60.0
TRIAL = 10.0  # seconds for which one trial keeps the others away
THROTTLED_REST = 60.0  # where a 429 does not say how long
LONGEST_QUOTA = 6 * 3600.0  # seconds a 429 may keep counted requests away
LONGEST_THROTTLE = 120.0  # seconds a 429 may keep everything away: it also stops revalidation
SUSPICION = 600.0  # seconds for which an endpoint that sent wrong bytes is asked last


@dataclass(frozen=True, slots=True)
class CircuitBreaker:
    """What is known of an endpoint; immutable, every change returns a new one."""

    failures: int = 0
    rests_until: float = 0.0
    trial_until: float = 0.0
    opened_at: float = -math.inf
    suspect_until: float = 0.0

    def rests(self, now: float) -> bool:
        """Whether the endpoint must not be asked now."""
        return now < max(self.rests_until, self.trial_until)

    def is_on_trial(self, now: float) -> bool:
        """Whether it is one caller's trial that keeps the others away, which may soon be over."""
        return self.rests_until <= now < self.trial_until

    def is_suspect(self, now: float) -> bool:
        """Whether it sent wrong bytes lately: others are preferred."""
        return now < self.suspect_until

    def admit(self, now: float) -> "CircuitBreaker":
        """Return the state after letting one caller ask; `rests` must be false."""
        is_trial = self.failures >= FAILURES or self.rests_until > 0
        return replace(self, trial_until=now + TRIAL) if is_trial else self

    def withdraw(self) -> "CircuitBreaker":
        """Return the state after a trial that ended without a verdict: the next may try."""
        return replace(self, trial_until=0.0)

    def succeed(self) -> "CircuitBreaker":
        """Return the state after a useful answer."""
        return replace(self, failures=0, rests_until=0.0, trial_until=0.0)

    def fail(self, now: float, began: float) -> "CircuitBreaker":
        """Return the state after no answer or a 5xx to what was asked at `began`.

        Those who were under way when the breaker opened fail of the same cause: once is enough.
        """
        if began <= self.opened_at:
            return self
        failures = self.failures + 1
        if failures < FAILURES:
            return replace(self, failures=failures, trial_until=0.0)
        rest = min(LONGEST_REST, FIRST_REST * 2 ** min(failures - FAILURES, 10))
        return replace(
            self,
            failures=failures,
            rests_until=max(self.rests_until, now + rest),
            trial_until=0.0,
            opened_at=now,
        )

    def throttle(
        self, now: float, retry_after: float | None, longest: float = LONGEST_THROTTLE
    ) -> "CircuitBreaker":
        """Return the state after a 429: asking again would only keep the window full."""
        rest = THROTTLED_REST if retry_after is None else min(max(retry_after, 1.0), longest)
        return replace(self, rests_until=max(self.rests_until, now + rest), trial_until=0.0)

    def mark_suspect(self, now: float) -> "CircuitBreaker":
        """Return the state after wrong bytes."""
        return replace(self, suspect_until=now + SUSPICION)
