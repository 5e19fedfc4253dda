"""Laws of numbers for people: three significant digits, and the right unit."""

import pytest
from rich.console import Console

from registry.cli import terminal
from registry.cli.terminal import (
    format_age,
    format_bytes,
    format_count,
    format_missing_volumes,
    open_progress,
    show_progress,
)

KIB = 1024
NOW = 1_000_000.0


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (0, "0 B"),
        (1, "1 B"),
        (999, "999 B"),
        (1000, "0.977 KiB"),
        (KIB, "1 KiB"),
        (1536, "1.5 KiB"),
        (999 * KIB, "999 KiB"),
        (1000 * KIB, "0.977 MiB"),
        (int(1.43 * KIB**3), "1.43 GiB"),
        (50 * KIB**3, "50 GiB"),
        (KIB**4, "1 TiB"),
        (3 * KIB**5, "3 PiB"),
    ],
)
def test_sizes_have_three_digits(size: int, expected: str) -> None:
    """A size is printed in the unit that leaves at most three digits before the point."""
    assert format_bytes(size) == expected


@pytest.mark.parametrize("power", range(1, 6))
def test_sizes_never_switch_to_powers_of_ten(power: int) -> None:
    """A size just below the next unit is printed without an exponent."""
    for size in (999 * KIB**power, KIB ** (power + 1) - 1):
        assert "e" not in format_bytes(size) if power < 5 else True


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (0, "just now"),
        (59, "just now"),
        (60, "1 min ago"),
        (3600, "1 h ago"),
        (3 * 3600 + 60, "3 h ago"),
        (86_400, "1 d ago"),
        (400 * 86_400, "400 d ago"),
        (-500, "just now"),
    ],
)
def test_ages_have_one_unit(monkeypatch: pytest.MonkeyPatch, age: float, expected: str) -> None:
    """An age is printed in the largest unit that fits; it is never negative."""
    monkeypatch.setattr(terminal.time, "time", lambda: NOW)
    assert format_age(NOW - age) == expected


def test_what_never_was_has_no_age() -> None:
    """The time 0 is printed as never, and not as decades ago."""
    assert format_age(0.0) == "never"


def test_one_is_singular() -> None:
    """A number of things has the noun in the singular or the plural."""
    assert [format_count(n, "blob") for n in (0, 1, 2)] == ["0 blobs", "1 blob", "2 blobs"]


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ([3], "volume 3 of 9 is missing"),
        ([1, 3], "volumes 1, 3 of 9 are missing"),
        ([1, 2], "volumes 1-2 of 9 are missing"),
        ([1, 2, 3, 5, 8, 9], "volumes 1-3, 5, 8-9 of 9 are missing"),
    ],
)
def test_missing_volumes_are_a_sentence(numbers: list[int], expected: str) -> None:
    """One volume is singular, and numbers in a row are a range."""
    assert format_missing_volumes(numbers, 9) == expected


def test_progress_is_for_terminals(capsys: pytest.CaptureFixture[str]) -> None:
    """If stderr is no terminal, a bar can be advanced and prints nothing."""
    with show_progress("auditing", 10) as advance:
        advance(10)
    assert capsys.readouterr() == ("", "")


def test_a_bar_counts_bytes() -> None:
    """The one task of a bar has the total that it was opened with."""
    progress = open_progress("auditing", 10)
    assert [task.total for task in progress.tasks] == [10]
    assert isinstance(progress.console, Console)
    assert progress.console.stderr


@pytest.mark.parametrize(("total", "quiet"), [(0, False), (10, True), (0, True)])
def test_there_is_no_empty_bar(monkeypatch: pytest.MonkeyPatch, total: int, quiet: bool) -> None:
    """Without bytes, or if nothing shall be printed, a terminal shows no bar."""
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes stderr for a terminal
    assert open_progress("auditing", 10).disable is False
    assert open_progress("auditing", total, quiet=quiet).disable is True
