"""A limited rate (a token bucket): it keeps the time at which the link is free again."""

from collections.abc import Iterator
from contextlib import contextmanager

# Seconds that a busy link may be late and still catch up. What it did not send before that, or
# while it was not used, is never sent as a burst later.
LATE = 0.2
TURN = 0.02
SMALLEST = 32 << 10
LARGEST = 256 << 10


class Pace:
    """A link of limited rate that several connections share."""

    def __init__(self) -> None:
        self._free_at = 0.0
        self.sharers = 0

    @contextmanager
    def share(self, now: float) -> Iterator[None]:
        """Use the link, together with other connections, during the body."""
        if not self.sharers:
            self._free_at = max(self._free_at, now)
        self.sharers += 1
        try:
            yield
        finally:
            self.sharers -= 1

    def reserve(self, amount: int, rate: float, now: float) -> float:
        """Return the seconds to wait before `amount` bytes may be sent at `rate` bytes a second."""
        self._free_at = max(self._free_at, now - LATE) + amount / rate
        return self._free_at - now


def slice_size(rate: float | None, sharers: int = 1) -> int:
    """Return how many bytes to send at once: 20 ms of the link, divided by its connections.

    It is never less than `SMALLEST`, as each piece takes time.
    """
    if not rate:
        return LARGEST
    turn = int(rate * TURN)
    return max(1, min(LARGEST, turn, max(SMALLEST, turn // max(1, sharers))))
