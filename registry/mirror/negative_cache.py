"""What an upstream said is not there, remembered for a moment."""

from collections import OrderedDict
from collections.abc import Hashable

from registry.errors import Unknown

MOST = 10_000  # entries; somebody asking for random names must not fill the memory


class NegativeCache:
    """Absences by key for `missing_for` seconds each, the oldest forgotten first."""

    def __init__(self, missing_for: float) -> None:
        self._missing_for = missing_for
        self._entries: OrderedDict[Hashable, tuple[float, Unknown]] = OrderedDict()

    def note(self, key: Hashable, absent: Unknown, now: float) -> None:
        """Remember that `key` is absent."""
        self._entries[key] = (now + self._missing_for, absent.copy())
        self._entries.move_to_end(key)
        while self._entries and (len(self._entries) > MOST or self._is_over(now)):
            self._entries.popitem(last=False)

    def _is_over(self, now: float) -> bool:
        until, _ = next(iter(self._entries.values()))
        return now >= until

    def find(self, key: Hashable, now: float) -> Unknown | None:
        """Return a fresh error that says what was raised for `key`, if not too long ago."""
        until, absent = self._entries.get(key, (0.0, None))
        if absent is not None and now >= until:
            del self._entries[key]
            return None
        return None if absent is None else absent.copy()
