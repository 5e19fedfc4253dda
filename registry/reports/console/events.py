"""The last events of all processes, as the log has them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

MINUTE = 60.0  # seconds


@dataclass(frozen=True, slots=True)
class EventReport:
    """An event at `time` (epoch seconds); `level` is `info`, `warning`, `error` or `critical`.

    `event` is its name in the log, `facts` are its fields as texts. It came `times` times, and at
    `time` for the last time.
    """

    time: float
    level: str
    event: str
    facts: Mapping[str, str]
    times: int = 1


@dataclass(frozen=True, slots=True)
class EventList:
    """The last events, the latest first; only those about a repository, if `about` names one."""

    events: Sequence[EventReport]
    about: str = ""


def list_events(found: Iterable[Mapping[str, Any]], level: str = "") -> list[EventReport]:
    """Return the reports of events; with `level` "warning", without those of the level `info`.

    What came again with the same facts within the same minute is one event.
    """
    reports: dict[tuple[object, ...], EventReport] = {}
    for each in found:
        if level == "warning" and each["level"] == "info":
            continue
        facts = each["facts"]
        report = EventReport(float(each["time"]), each["level"], each["event"], facts)
        key = (report.level, report.event, *facts.items(), report.time // MINUTE)
        former = reports.get(key)
        reports[key] = report if former is None else replace(former, times=former.times + 1)
    return list(reports.values())


def leave_out_downloads(events: Iterable[EventReport]) -> list[EventReport]:
    """Return the events without each end of a download, of which there are many."""
    return [each for each in events if each.event != "download ended"]


def keep_about(events: Iterable[EventReport], repository: str) -> list[EventReport]:
    """Return the events about a repository and its images."""
    starts = (f"{repository}:", f"{repository}@")
    return [
        each
        for each in events
        if each.facts.get("repository") == repository
        or each.facts.get("image", "").startswith(starts)
    ]
