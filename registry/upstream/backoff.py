"""Retries: until when to try again, and how long to wait. Pure; randomness is passed in."""

import random
from dataclasses import dataclass

FIRST_WAIT = 0.1  # seconds before the second try
LONGEST_WAIT = 5.0


@dataclass(slots=True)
class RetryBudget:
    """Allows tries until `deadline`, with growing waits; times are seconds of one clock."""

    deadline: float
    chance: random.Random
    tries: int = 0

    def renew(self, deadline: float) -> None:
        """Begin again with a new deadline and short waits, because a try made progress."""
        self.deadline = deadline
        self.tries = 0

    def next_wait(self, now: float, at_least: float | None = None) -> float | None:
        """Return the seconds to wait before the next try; None if the deadline is before that.

        Each wait is twice as long as the last one, minus a random part of up to one half. So
        clients whose requests failed together do not try again together.
        """
        longest = min(LONGEST_WAIT, FIRST_WAIT * 2**self.tries)
        wait = max(longest * (0.5 + self.chance.random() / 2), at_least or 0.0)
        self.tries = min(self.tries + 1, 16)
        return wait if now + wait < self.deadline else None
