"""Laws of the reports of traffic and space: sums of days, ratios, and when it is full."""

from dataclasses import replace

import pytest

from registry.catalog.usage import UsageTotals
from registry.content.served import EVICTED, STORED, UPSTREAM
from registry.content.traffic import DayRow
from registry.content.usage import UsageReport
from registry.reports.space import report_space
from registry.reports.traffic import Day, OriginTraffic, Period, report_traffic

DAYS = [f"2026-11-{day:02}" for day in range(1, 31)]
TODAY = DAYS[-1]
GIB = 1024**3
USAGE = UsageReport(
    use=UsageTotals(blobs=40 * GIB, count=9, pinned=5 * GIB, reserved=0, quarantined=0),
    used=40 * GIB,
    limit=100 * GIB,
    reserve=2 * GIB,
    free=500 * GIB,
    images=3,
    empty_images=0,
    audits={},
    running=[],
    interrupted=0,
    served=None,
    since=0.0,
)


def test_nothing_is_reported_as_nothing() -> None:
    nothing = report_traffic([], DAYS)

    assert nothing.since == ""
    assert nothing.today == Period(1, 0, 0, 0.0, 0, 0.0, 0, 0)
    assert [each.day for each in nothing.history] == DAYS


def test_answers_with_content_count() -> None:
    """Hits are stored content; lists and errors are none; what was fetched is from upstreams."""
    rows = [
        DayRow(TODAY, "blobs", "hit", 6, 600),
        DayRow(TODAY, "blobs", "miss", 1, 100),
        DayRow(TODAY, "blobs", "joined", 1, 100),
        DayRow(TODAY, "manifests", "stale", 2, 200),
        DayRow(TODAY, "manifests", "", 50, 5000),
        DayRow(TODAY, "tags", "", 50, 5000),
        DayRow(TODAY, UPSTREAM, "docker.io", 3, 100),
        DayRow(TODAY, UPSTREAM, "ghcr.io", 3, 50),
        DayRow(TODAY, STORED, "", 0, 7),
    ]

    today = report_traffic(rows, DAYS).today

    expected = Period(
        days=1,
        requests=10,
        hits=8,
        hit_ratio=0.8,
        sent=1000,
        byte_hit_ratio=0.8,
        fetched=150,
        saved=850,
        origins={
            "hit": OriginTraffic(6, 600),
            "joined": OriginTraffic(1, 100),
            "miss": OriginTraffic(1, 100),
            "stale": OriginTraffic(2, 200),
        },
    )
    assert today == expected


def test_periods_are_the_last_days() -> None:
    """Seven days are today and the six before; the history has each of the thirty."""
    rows = [DayRow(day, "blobs", "hit", 1, 10) for day in DAYS]
    rows.append(DayRow(DAYS[0], UPSTREAM, "docker.io", 1, 25))

    report = report_traffic(rows, DAYS)

    assert report.since == DAYS[0]
    assert [each.requests for each in (report.today, report.week, report.month)] == [1, 7, 30]
    assert (report.week.saved, report.month.saved) == (70, 275)
    assert report.history[0] == Day(DAYS[0], 1, 10, 25, 0), "less than nothing is not saved"
    assert report.history[-1] == Day(TODAY, 1, 10, 0, 10)


@pytest.mark.parametrize(
    ("days", "expected"), [(1, 1.0), (2, 2.0), (7, 7.0), (20, 7.0)], ids=["new", "2", "7", "20"]
)
def test_the_space_ends_at_the_rate_of_this_week(days: int, expected: float) -> None:
    """A mirror that is new is measured by the days that it has; 60 GiB are left here."""
    rows = [DayRow(DAYS[-days], STORED, "", 0, 120 * GIB), DayRow(TODAY, EVICTED, "", 0, 60 * GIB)]
    if days == 20:
        rows.append(DayRow(DAYS[-7], STORED, "", 0, 120 * GIB))

    assert report_space(USAGE, rows, DAYS).full_in == expected


def test_a_mirror_that_does_not_grow_is_never_full() -> None:
    rows = [DayRow(TODAY, STORED, "", 0, 10), DayRow(TODAY, EVICTED, "", 0, 10)]
    assert report_space(USAGE, rows, DAYS).full_in is None
    assert report_space(USAGE, [], DAYS).full_in is None
    assert report_space(USAGE, rows[:1], DAYS).full_in is None, "in more than ten years"


def test_a_full_disk_ends_the_space_too() -> None:
    """The disk may have less space than the limit, and keeps its reserve."""
    rows = [DayRow(TODAY, STORED, "", 0, GIB)]
    small = replace(USAGE, free=12 * GIB)
    over = replace(USAGE, free=GIB)

    assert report_space(small, rows, DAYS).full_in == 10
    assert report_space(over, rows, DAYS).full_in == 0
