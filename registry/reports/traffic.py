"""The report of what was answered, downloaded and saved: today, in 7 days, and in 30 days."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from registry.content.served import add_up, split

if TYPE_CHECKING:
    from registry.content.traffic import DayRow

WEEK = 7  # days, with today
MONTH = 30


@dataclass(frozen=True, slots=True)
class OriginTraffic:
    """How many answers had content of one origin, and how many bytes of it were sent."""

    requests: int
    sent: int


@dataclass(frozen=True, slots=True)
class Period:
    """What was answered in some days; the last one is today.

    `requests` are the answers with a manifest or a blob, and `hits` those of them whose content was
    stored here. `sent` are the bytes that clients got, `fetched` those that came from upstreams,
    and `saved` is by how many bytes more was sent than fetched (0 if less was). `hit_ratio` is the
    part of the answers whose content was stored, and `byte_hit_ratio` the part of the sent bytes.
    `origins` has the same answers by the origin of their content, as `X-Entrepot-Origin` says it.
    """

    days: int
    requests: int
    hits: int
    hit_ratio: float
    sent: int
    byte_hit_ratio: float
    fetched: int
    saved: int
    origins: Mapping[str, OriginTraffic] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Day:
    """What was answered on one day (YYYY-MM-DD); in bytes, but for `requests`."""

    day: str
    requests: int
    sent: int
    fetched: int
    saved: int


@dataclass(frozen=True, slots=True)
class TrafficReport:
    """What was answered, downloaded and saved; `history` has each of the last 30 days.

    `since` is the first day of which anything is recorded (empty: there is none).
    """

    since: str
    today: Period
    week: Period
    month: Period
    history: Sequence[Day]


def report_traffic(rows: "Sequence[DayRow]", days: Sequence[str]) -> TrafficReport:
    """Return the report of the rows of `days`, of which the last one is today. Pure."""
    return TrafficReport(
        since=min((each.day for each in rows), default=""),
        today=_report_period(rows, days[-1:]),
        week=_report_period(rows, days[-WEEK:]),
        month=_report_period(rows, days[-MONTH:]),
        history=[_report_day(rows, day) for day in days[-MONTH:]],
    )


def _report_period(rows: "Sequence[DayRow]", days: Sequence[str]) -> Period:
    amounts = [
        (each.kind, each.origin, each.requests, each.bytes) for each in rows if each.day in days
    ]
    found = add_up(amounts)
    return Period(
        days=len(days),
        requests=found.requests,
        hits=found.hits,
        hit_ratio=round(found.hit_ratio, 4),
        sent=found.sent,
        byte_hit_ratio=round(found.byte_hit_ratio, 4),
        fetched=found.fetched,
        saved=found.saved,
        origins={origin: OriginTraffic(*each) for origin, each in split(amounts).items()},
    )


def _report_day(rows: "Sequence[DayRow]", day: str) -> Day:
    found = _report_period(rows, [day])
    return Day(day, found.requests, found.sent, found.fetched, found.saved)
