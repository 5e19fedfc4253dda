"""The last events of each process, in memory that forks share: the console shows them.

The log goes to stderr, where the mirror cannot read it again. So each process also writes its
events to a page of its own, which the background process reads.
"""

import json
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from registry.server.shared_lines import SharedLines

SUPERVISOR = -3  # the number of its page; the others are those of `heartbeats.py`
PAGE = 32 * 1024  # bytes for the events of one process
LONGEST_VALUE = 300  # characters of one fact of an event
MOST_FACTS = 12
# What its end tells too; running downloads have a place of their own on the pages.
_TOLD_LATER = frozenset({"download started"})
_LEFT_OUT = frozenset({"event", "level", "exception", "timestamp"})


class RecentEvents:
    """Pages with the events of all processes of a server."""

    def __init__(self, workers: int) -> None:
        """`workers` are from 0; the background process and the supervisor have pages too."""
        self._lines = SharedLines(workers - SUPERVISOR, PAGE)

    def make_writer(self, number: int) -> Callable[[Mapping[str, Any]], None]:
        """Return the function that notes events of process `number`, and of no other."""
        return partial(self._note, number)

    def read(self) -> list[dict[str, Any]]:
        """Return the events of all processes, the latest first.

        Each has `time` (epoch seconds), `level`, `event`, and `facts`, which are texts by name.
        """
        found: list[dict[str, Any]] = []
        for line in self._lines.read():
            try:
                found.append(json.loads(line))
            except ValueError:  # the process was killed while it wrote
                continue
        return sorted(found, key=lambda each: -each["time"])

    def _note(self, number: int, event: Mapping[str, Any]) -> None:
        if event.get("event") in _TOLD_LATER:
            return
        facts = {key: value for key, value in event.items() if key not in _LEFT_OUT}
        shown = [(key, _shorten(value)) for key, value in facts.items()][:MOST_FACTS]
        line = json.dumps(
            {
                "time": time.time(),
                "level": str(event.get("level", "")),
                "event": _shorten(event.get("event", "")),
                "facts": dict(shown),
            }
        ).encode()
        self._lines.append(number - SUPERVISOR, line)


def _shorten(value: object) -> str:
    if isinstance(value, list | tuple):
        value = ", ".join(map(str, value))
    text = str(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"
