"""A token bucket kept as the time at which the line is next free."""

from collections.abc import Iterator
from contextlib import contextmanager

# A busy line that falls behind by less than this catches up; what it loses beyond, and whatever
# it might have sent while nobody used it, is not saved up into a burst.
LATE = 0.2
TURN = 0.02
SMALLEST = 32 << 10
LARGEST = 256 << 10


class Pace:
    """One line of limited rate, shared by whoever asks it."""

    def __init__(self) -> None:
        self._free_at = 0.0
        self.sharers = 0

    @contextmanager
    def share(self, now: float) -> Iterator[None]:
        """Use the line, together with whoever else does."""
        if not self.sharers:
            self._free_at = max(self._free_at, now)
        self.sharers += 1
        try:
            yield
        finally:
            self.sharers -= 1

    def reserve(self, amount: int, rate: float, now: float) -> float:
        """Seconds to wait before `amount` bytes may go at `rate` bytes per second."""
        self._free_at = max(self._free_at, now - LATE) + amount / rate
        return self._free_at - now


def slice_size(rate: float | None, sharers: int = 1) -> int:
    """How much to send at once: 20 ms of the line, or less so that all who share it get a turn.

    Never less than `SMALLEST` for their sake, which would cost more time than it gives turns.
    """
    if not rate:
        return LARGEST
    turn = int(rate * TURN)
    return max(1, min(LARGEST, turn, max(SMALLEST, turn // max(1, sharers))))
