"""Which warnings of a server's log a terminal shows: each of them once a minute. Pure.

A pull that fails brings the same warning for each try, and a blob that cannot be stored brings two.
That an endpoint fails is shown once an hour, unless it was reached in between.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from registry.cli.terminal import format_count

MINUTE = 60.0  # seconds in which a warning that comes again is only counted
HOUR = 3600.0  # seconds for an endpoint that fails again
HELD = 1.0  # seconds for which the end of a download is not shown, since a client may still get it
_FAILED, _REACHED = "endpoint failed", "endpoint reached again"
_WARNINGS = frozenset({"warning", "error", "critical"})

# A line of the log.
Line = Mapping[str, Any]


@dataclass(slots=True)
class _Shown:
    """A warning that was shown at a time, and how often it came again within `period` seconds."""

    line: Line
    at: float
    period: float
    repeated: int = 0


class RepeatFilter:
    """Chooses the lines to show; `now` is in seconds, by any clock."""

    def __init__(self) -> None:
        self._shown: dict[frozenset[tuple[str, str]], _Shown] = {}
        self._held: dict[str, tuple[Line, float]] = {}

    def add(self, line: Line, now: float) -> Iterator[Line]:
        """Yield the line if it is to be shown now.

        A download that failed is shown later, or not at all: if the disk refused the blob, and a
        client gets it from the upstream, then that is said, and nothing failed for the client.
        That an endpoint is reached again is shown if its failure was, once for all processes.
        """
        if line["event"] == _REACHED:
            yield from self._end_outage(line)
            return
        blob = str(line.get("blob", ""))
        if line["event"] == "download failed":
            self._held[blob] = line, now
            return
        if line["event"] == "passed through, not stored":
            self._held.pop(blob, None)
        yield from self._admit(line, now)

    def take(self, now: float) -> Iterator[Line]:
        """Yield the lines that the terminal has to show at `now`.

        These are the lines that were held for `HELD` seconds, and the counts of repeated ones.
        """
        for blob in [blob for blob, (_, at) in self._held.items() if now - at >= HELD]:
            yield from self._admit(self._held.pop(blob)[0], now)
        for key in [key for key, each in self._shown.items() if now - each.at >= each.period]:
            shown = self._shown.pop(key)
            if shown.repeated:
                yield {**shown.line, "repeated": format_count(shown.repeated, "time")}

    def _admit(self, line: Line, now: float) -> Iterator[Line]:
        if line.get("level") not in _WARNINGS:
            yield line
            return
        key = frozenset((name, str(value)) for name, value in line.items() if name != "timestamp")
        if key in self._shown:
            self._shown[key].repeated += 1
        else:
            period = HOUR if line["event"] == _FAILED else MINUTE
            self._shown[key] = _Shown(line, now, period)
            yield line

    def _end_outage(self, line: Line) -> Iterator[Line]:
        """Show the next failures of an endpoint again, and yield the line if some were shown."""
        ended = [
            each
            for each in self._shown.values()
            if each.period == HOUR and each.line.get("endpoint") == line.get("endpoint")
        ]
        for each in ended:
            each.period = MINUTE  # an endpoint that fails now and then shall not fill the terminal
        if ended:
            yield line
