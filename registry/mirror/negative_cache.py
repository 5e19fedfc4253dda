"""Answers "not found" of upstreams, remembered for a short time."""

from collections import OrderedDict
from collections.abc import Hashable

from registry.errors import Unknown

MOST = 10_000  # entries; a client that asks for random names must not fill the memory


class NegativeCache:
    """Errors by key, for `missing_for` seconds each; the oldest are removed first.

    The times are epoch seconds. If the clock is set back, what was remembered is over.
    """

    def __init__(self, missing_for: float) -> None:
        self._missing_for = missing_for
        self._entries: OrderedDict[Hashable, tuple[float, Unknown]] = OrderedDict()

    def add(self, key: Hashable, error: Unknown, now: float) -> None:
        """Remember that an upstream does not have what `key` names."""
        self._entries[key] = (now, error.copy())
        self._entries.move_to_end(key)
        while self._entries:
            oldest, _ = next(iter(self._entries.values()))
            if len(self._entries) <= MOST and not self._is_over(oldest, now):
                break
            self._entries.popitem(last=False)

    def _is_over(self, added: float, now: float) -> bool:
        return abs(now - added) >= self._missing_for

    def find(self, key: Hashable, now: float) -> Unknown | None:
        """Return a copy of the error for `key` that the caller may raise; None if there is none."""
        added, error = self._entries.get(key, (0.0, None))
        if error is not None and self._is_over(added, now):
            del self._entries[key]
            return None
        return None if error is None else error.copy()
