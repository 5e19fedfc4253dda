"""Laws of warnings that come again: a terminal shows each of them once a minute."""

import math
from typing import Any

from registry.cli.repeats import HELD, MINUTE, RepeatFilter


def line(event: str = "endpoint failed", level: str = "warning", **others: Any) -> dict[str, Any]:
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
