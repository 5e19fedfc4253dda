"""How long to go on trying, and how long to wait between two tries. Pure; randomness passed in."""

import random
from dataclasses import dataclass

FIRST_WAIT = 0.1  # seconds before the second try
LONGEST_WAIT = 5.0


@dataclass(slots=True)
class RetryBudget:
    """Tries until `deadline`, with growing waits between them; times in seconds of one clock."""

    deadline: float
    chance: random.Random
    tries: int = 0

    def renew(self, deadline: float) -> None:
        """Start over with another deadline, because a try made progress."""
        self.deadline = deadline
        self.tries = 0

    def next_wait(self, now: float, at_least: float | None = None) -> float | None:
        """Return the seconds to wait before the next try; None when it would be too late.

        Waits double. Up to half of each is left out at random, so that many clients that failed
        together do not come back together.
        """
        longest = min(LONGEST_WAIT, FIRST_WAIT * 2**self.tries)
        wait = max(longest * (0.5 + self.chance.random() / 2), at_least or 0.0)
        self.tries = min(self.tries + 1, 16)
        return wait if now + wait < self.deadline else None
