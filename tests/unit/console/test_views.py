"""Laws of bars and numbers on the pages."""

from registry.console.formats import Formats
from registry.console.messages import load_messages
from registry.console.views import TALLEST, draw_days, draw_space
from registry.reports.console.overview import DiskSpace, find_full_in
from registry.reports.traffic import Day

NOW = 1_000_000.0


def make_space(used: int, **values: int) -> DiskSpace:
    facts = {"pinned": 0, "downloading": 0, "damaged": 0, "reserve": 0, "free": 1000} | values
    return DiskSpace(used=used, limit=100, **facts)


def test_the_bar_is_the_limit() -> None:
    """Its parts follow each other, and together are the whole."""
    parts = draw_space(make_space(60, pinned=20, downloading=10))

    assert [(each.kind, each.start, each.width) for each in parts] == [
        ("pinned", 0, 20),
        ("images", 20, 30),
        ("downloading", 50, 10),
        ("unused", 60, 40),
    ]


def test_more_than_the_limit_stays_in_the_bar() -> None:
    """After the limit was lowered, more may be used than is allowed."""
    parts = draw_space(make_space(200, pinned=150))

    assert max(each.start + each.width for each in parts) <= 100


def test_a_disk_with_less_space_is_told() -> None:
    """What the limit allows and the disk does not have is no unused space."""
    parts = {each.kind: each.size for each in draw_space(make_space(60, free=15, reserve=5))}

    assert parts["unused"] == 10


def test_the_best_day_is_the_tallest() -> None:
    """A day with nothing has no column, and one with little has one that can be seen."""
    days = [Day("2026-11-01", 0, 0, 0, saved) for saved in (0, 1, 500, 1000)]

    assert [each.width for each in draw_days(days)] == [0, 1, TALLEST / 2, TALLEST]
    assert [each.width for each in draw_days(days[:1])] == [0]


def test_when_the_store_will_be_full() -> None:
    """The smaller of limit and disk counts; a store that does not grow is never full."""
    assert find_full_in(make_space(60), 10) == 4.0
    assert find_full_in(make_space(60, free=15, reserve=5), 10) == 1.0
    assert find_full_in(make_space(100), 10) == 0.0
    assert find_full_in(make_space(60), 0) is None
    assert find_full_in(make_space(60), -10) is None


def test_how_times_and_numbers_are_written() -> None:
    """In the language of the page; a part of all is never all."""
    english = Formats(load_messages()["en"], NOW)
    chinese = Formats(load_messages()["zh"], NOW)

    assert english.age(NOW - 125) == "2 min ago"
    assert chinese.age(NOW - 125) == "2 分钟前"
    assert english.age(0) == "never"
    assert english.age(NOW) == "just now"
    assert english.percent(0.9999) == "99\N{NO-BREAK SPACE}%"
    assert english.rate(None) == "\N{EN DASH}"
    assert english.milliseconds(0.1234) == "123 ms"
    assert english.digest("sha256:0123456789abcdef") == "0123456789ab"
