"""Laws of the events on a page: what came again is one line."""

from collections.abc import Mapping
from typing import Any

from registry.reports.console.events import keep_about, leave_out_downloads, list_events


def make(time: float, event: str = "endpoint failed", level: str = "warning", **facts: str) -> Any:
    found: Mapping[str, Any] = {"time": time, "event": event, "level": level, "facts": facts}
    return found


def test_what_came_again_is_one_event() -> None:
    """With the same facts and within a minute; the time is that of the latest."""
    found = list_events(
        [make(130, why="a"), make(125, why="a"), make(121, why="b"), make(100, why="a")]
    )

    assert [(each.time, each.times, each.facts["why"]) for each in found] == [
        (130, 2, "a"),
        (121, 1, "b"),
        (100, 1, "a"),
    ]


def test_only_warnings_are_shown_if_only_they_are_wanted() -> None:
    """An error is worse than a warning, and is shown too."""
    events = [make(3, level="error"), make(2, level="info"), make(1)]

    assert [each.level for each in list_events(events, "warning")] == ["error", "warning"]
    assert len(list_events(events)) == 3


def test_the_overview_has_no_line_for_each_download() -> None:
    """Their own section shows them; otherwise nothing else could be seen."""
    events = list_events([make(2, "download ended", "info"), make(1)])

    assert [each.event for each in leave_out_downloads(events)] == ["endpoint failed"]


def test_the_events_about_a_repository() -> None:
    """Those that name it, or an image of it, and not one whose name only begins like it."""
    names = {
        1: {"repository": "docker.io/acme/app"},
        2: {"image": "docker.io/acme/app:1"},
        3: {"image": "docker.io/acme/app-two:1"},
        4: {"repository": "docker.io/acme"},
        5: {"why": "docker.io/acme/app"},
    }
    events = list_events([make(time, **facts) for time, facts in names.items()])

    assert [each.time for each in keep_about(events, "docker.io/acme/app")] == [1, 2]
