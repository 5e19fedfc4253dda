"""Laws of rates by the hour as people write them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.settings.rates import DAY, LEAST, HourlyRate, RateSchedule, parse_rate
from registry.settings.tables import dump_table, read_table
from registry.settings.upstreams import UpstreamSettings
from registry.settings.values import Refusal

MIB = 1024 * 1024


def at(hour: int, minute: int = 0) -> int:
    return hour * 60 + minute


@pytest.mark.parametrize(
    ("text", "minute", "rate"),
    [
        ("20MiB", at(3), 20 * MIB),
        ("20MiB/s", at(3), 20 * MIB),
        (5000, at(3), 5000),
        ("unlimited", at(3), math.inf),
        ("08:00-19:00=20MiB, *=unlimited", at(8), 20 * MIB),
        ("08:00-19:00=20MiB, *=unlimited", at(18, 59), 20 * MIB),
        ("08:00-19:00=20MiB, *=unlimited", at(19), math.inf),
        ("08:00-19:00=20MiB", at(7, 59), math.inf),
        ("*=1MiB,8:00-19:00=20MiB", at(7, 59), MIB),
        ("22:00-6:30=unlimited, *=1MiB", at(23, 59), math.inf),
        ("22:00-6:30=unlimited, *=1MiB", at(0), math.inf),
        ("22:00-6:30=unlimited, *=1MiB", at(6, 30), MIB),
        ("19:00-24:00=2MiB, *=1MiB", at(23, 59), 2 * MIB),
        ("19:00-24:00=2MiB, *=1MiB", at(0), MIB),
        ("08:00-19:00=2MiB, 12:00-13:00=3MiB", at(12), 2 * MIB),
    ],
)
def test_a_rate_is_read(text: object, minute: int, rate: float) -> None:
    """A rate counts always or within its hours, also over midnight; the first that fits counts."""
    assert parse_rate(text).find_rate(minute) == rate


@pytest.mark.parametrize(
    "text",
    [
        *("", "fast", "20", "0", "100B", "-1MiB", True, None, 1.5, ["1MiB"]),
        *("08:00-19:00", "08:00-19:00=", "8-19=1MiB", "08:00-25:00=1MiB", "08:60-19:00=1MiB"),
        *("24:01-01:00=1MiB", "*=1MiB, *=2MiB", "08:00-19:00=1MiB,", "08:00-19:00=1MiB 2MiB"),
        *("08:00-08:00=1MiB", "00:00-24:00=1MiB", "mon=1MiB", "08:00-19:00=1MiB; *=unlimited"),
    ],
)
def test_other_rates_are_refused(text: object) -> None:
    """A rate of another form is refused with an example; so is one whose unit was forgotten."""
    with pytest.raises(Refusal) as refusal:
        parse_rate(text)
    assert "write" in refusal.value.cure or "keep" in refusal.value.cure


_RATES = st.integers(LEAST, 2**40).map(float) | st.just(math.inf)
_HOURS = st.builds(HourlyRate, st.integers(0, DAY - 1), st.integers(1, DAY), _RATES).filter(
    lambda hours: hours.start % DAY != hours.stop % DAY
)


@given(st.builds(RateSchedule, st.lists(_HOURS, max_size=4).map(tuple), _RATES))
def test_printed_rates_read_the_same(rates: RateSchedule) -> None:
    """Printed rates are read as the same rates."""
    assert parse_rate(str(rates)) == rates


def test_rates_of_an_upstream_are_printed_as_written() -> None:
    """`config show` prints them in the form in which people write them."""
    text = "08:00-19:00=20MiB, *=unlimited"
    values = {"endpoints": ("https://a.example",), "max_rate": text}
    upstream = read_table(UpstreamSettings, values)

    assert dump_table(upstream, "json")["max_rate"] == text


@pytest.mark.parametrize(
    ("text", "minute", "words", "is_limited"),
    [
        ("unlimited", 0, "unlimited", False),
        ("20MiB", 0, "20MiB a second", True),
        # What applies at other times is said also if it was not written.
        (
            "08:00-19:00=20MiB",
            at(12),
            "20MiB a second now (08:00-19:00=20MiB, *=unlimited, local time)",
            True,
        ),
        (
            "08:00-19:00=20MiB",
            at(20),
            "unlimited now (08:00-19:00=20MiB, *=unlimited, local time)",
            True,
        ),
    ],
)
def test_the_rate_in_force_is_described(
    text: str, minute: int, words: str, is_limited: bool
) -> None:
    """With the hours of all others."""
    rates = parse_rate(text)
    assert (rates.describe(minute), rates.is_limited) == (words, is_limited)
