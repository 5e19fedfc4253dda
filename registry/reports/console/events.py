"""The last events of all processes, as the log has them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class EventReport:
    """An event at `time` (epoch seconds); `level` is `info`, `warning`, `error` or `critical`.

    `event` is its name in the log, `facts` are its fields as texts.
    """

    time: float
    level: str
    event: str
    facts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class EventList:
    """The last events, the latest first."""

    events: Sequence[EventReport]


def list_events(found: Iterable[Mapping[str, Any]], level: str = "") -> list[EventReport]:
    """Return the reports of events; with `level` "warning", without those of the level `info`."""
    return [
        EventReport(float(each["time"]), each["level"], each["event"], each["facts"])
        for each in found
        if level != "warning" or each["level"] != "info"
    ]
