"""The last events of each process, in memory that forks share: the console shows them.

The log goes to stderr, where the mirror cannot read it again. So each process also writes its
events to a page of its own, which the background process reads.
"""

import json
import mmap
import struct
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

SUPERVISOR = -3  # the number of its page; the others are those of `heartbeats.py`
PAGE = 32 * 1024  # bytes for the events of one process
_HEAD = struct.Struct("QI")  # a number that is odd during a write, and the bytes that are used
_ROOM = PAGE - _HEAD.size
LONGEST_VALUE = 300  # characters of one fact of an event
MOST_FACTS = 12
_LEFT_OUT = frozenset({"event", "level", "exception", "timestamp"})
_TRIES = 3


class RecentEvents:
    """Pages with the events of all processes of a server."""

    def __init__(self, workers: int) -> None:
        """`workers` are from 0; the background process and the supervisor have pages too."""
        self._pages = workers - SUPERVISOR
        self._memory = mmap.mmap(-1, PAGE * self._pages)

    def make_writer(self, number: int) -> Callable[[Mapping[str, Any]], None]:
        """Return the function that notes events of process `number`, and of no other."""
        return partial(self._note, number)

    def read(self) -> list[dict[str, Any]]:
        """Return the events of all processes, the latest first.

        Each has `time` (epoch seconds), `level`, `event`, and `facts`, which are texts by name.
        """
        found: list[dict[str, Any]] = []
        for page in range(self._pages):
            for line in self._read_page(page).splitlines():
                try:
                    found.append(json.loads(line))
                except ValueError:  # the process was killed while it wrote
                    continue
        return sorted(found, key=lambda each: -each["time"])

    def _note(self, number: int, event: Mapping[str, Any]) -> None:
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
        self._append(number - SUPERVISOR, line + b"\n")

    def _append(self, page: int, line: bytes) -> None:
        start = page * PAGE
        version, used = _HEAD.unpack_from(self._memory, start)
        body = start + _HEAD.size
        kept = bytes(self._memory[body : body + used])
        while kept and len(kept) + len(line) > _ROOM:
            kept = kept.partition(b"\n")[2]
        written = (kept + line)[-_ROOM:]
        begun = version | 1
        _HEAD.pack_into(self._memory, start, begun, used)
        self._memory[body : body + len(written)] = written
        _HEAD.pack_into(self._memory, start, begun + 1, len(written))

    def _read_page(self, page: int) -> bytes:
        start = page * PAGE
        body = start + _HEAD.size
        text = b""
        for _ in range(_TRIES):
            version, used = _HEAD.unpack_from(self._memory, start)
            text = bytes(self._memory[body : body + used])
            if version % 2 == 0 and _HEAD.unpack_from(self._memory, start)[0] == version:
                break
        return text


def _shorten(value: object) -> str:
    if isinstance(value, list | tuple):
        value = ", ".join(map(str, value))
    text = str(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"
