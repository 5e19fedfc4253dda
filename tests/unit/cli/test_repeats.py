"""Laws of warnings that come again: a terminal shows each of them once a minute."""

import math
from typing import Any

from registry.cli.repeats import HELD, HOUR, MINUTE, RepeatFilter


def line(event: str = "download slow", level: str = "warning", **others: Any) -> dict[str, Any]:
    return {"event": event, "level": level, "why": "refused"} | others


def test_a_warning_that_comes_again_is_counted() -> None:
    """After a minute the count is shown; a warning with other facts is shown at once."""
    chosen = RepeatFilter()
    first = line(timestamp="1")
    shown = [list(chosen.add(each, 0)) for each in (first, line(timestamp="2"), line(why="x"))]
    assert shown == [[first], [], [line(why="x")]]
    assert list(chosen.take(MINUTE - 1)) == []
    assert list(chosen.take(MINUTE)) == [first | {"repeated": "1 time"}]
    assert list(chosen.add(first, MINUTE)) == [first]


def test_an_endpoint_that_fails_is_shown_once_an_hour() -> None:
    """A registry that is blocked fails at each pull, and everybody knows it already."""
    chosen = RepeatFilter()
    first = line("endpoint failed", endpoint="https://a")
    shown = [[*chosen.add(first, at), *chosen.take(at)] for at in (0, 5, MINUTE, HOUR - 1)]
    assert shown == [[first], [], [], []]
    assert list(chosen.take(HOUR)) == [first | {"repeated": "3 times"}]
    assert list(chosen.add(first, HOUR)) == [first]


def test_an_endpoint_that_was_reached_in_between_is_shown_again() -> None:
    """It is told once, whichever processes say so; others are as they were."""
    chosen = RepeatFilter()
    first, other = (line("endpoint failed", endpoint=f"https://{name}") for name in "ab")
    reached = line("endpoint reached again", "info", endpoint="https://a")
    assert list(chosen.add(reached, 0)) == []  # its failure was not shown
    assert [*chosen.add(first, 0), *chosen.add(other, 0)] == [first, other]
    assert [*chosen.add(reached, 90), *chosen.add(reached, 90)] == [reached]
    assert list(chosen.take(90)) == []
    assert [*chosen.add(first, 91), *chosen.add(other, 91)] == [first]


def test_other_events_are_shown_each_time() -> None:
    """They are no warnings."""
    chosen, event = RepeatFilter(), line("blobs deleted", "info")
    assert [*chosen.add(event, 0), *chosen.add(event, 0)] == [event, event]


def test_a_blob_that_a_client_gets_did_not_fail() -> None:
    """If the disk refuses a blob, one warning says that it is not stored."""
    chosen = RepeatFilter()
    failed, other = (line("download failed", blob=blob) for blob in ("sha256:1", "sha256:2"))
    passed = line("passed through, not stored", "error", blob="sha256:1")
    assert [*chosen.add(failed, 0), *chosen.add(other, 0), *chosen.add(passed, 0)] == [passed]
    assert list(chosen.take(HELD / 2)) == []
    assert list(chosen.take(HELD)) == [other]


def test_nothing_is_lost_at_the_end() -> None:
    """What was held, and what was counted, is shown when the server ends."""
    chosen = RepeatFilter()
    lines = [line(), line(), line("download failed", blob="sha256:1")]
    assert [len(list(chosen.add(each, 0))) for each in lines] == [1, 0, 0]
    assert len(list(chosen.take(math.inf))) == 2
