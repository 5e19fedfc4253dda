"""Sequences of steps that once failed, or that hypothesis rarely draws, for downloads."""

from typing import Any

import pytest

from tests.property.test_downloads import DownloadsMachine

WHOLE = (0, 16)
Story = list[tuple[Any, ...]]

STORIES: dict[str, tuple[dict[str, Any], Story]] = {
    "a follower's wrong beginning is not continued with right bytes": (
        {"size": 150_000, "tells_size": False, "processes": 2},
        [
            ("behave", "wrong bytes", 0),
            ("join", 0, WHOLE, None, 8),
            ("join", 1, WHOLE, None, 0),
            ("behave", "honest", 0),
            ("give", 16),
        ],
    ),
    "wrong bytes beside a full disk are passed through without the last byte": (
        {"size": 150_000, "tells_size": True, "processes": 1},
        [
            ("spoil", "full", 1, 0),
            ("behave", "wrong bytes", 0),
            ("join", 0, WHOLE, None, 16),
            ("behave", "honest", 0),
            ("join", 0, WHOLE, None, 16),
        ],
    ),
    "a disk that becomes full in the middle costs no reader its blob": (
        {"size": 150_000, "tells_size": True, "processes": 2},
        [
            ("join", 0, WHOLE, None, 8),
            ("join", 1, WHOLE, None, 0),
            ("spoil", "full", 1, 16),
        ],
    ),
}
# A crash at every operation of the disk between the last bytes and the catalog.
STORIES |= {
    f"a crash at operation {operation} of the end": (
        {"size": 1000, "tells_size": True, "processes": 2},
        [
            ("join", 0, WHOLE, None, 8),
            ("join", 1, WHOLE, None, 0),
            ("kill", 0, operation, 16),
            ("start_process",),
            ("join", 1, WHOLE, None, 0),
        ],
    )
    for operation in range(1, 13)
}


@pytest.mark.parametrize("name", STORIES)
def test_story(name: str) -> None:
    """After every step of the story, and at its end, the laws of downloads hold."""
    beginning, steps = STORIES[name]
    machine = DownloadsMachine()
    try:
        machine.begin(**beginning)
        for action in steps:
            machine.act(action)
            machine.laws_hold()
    finally:
        machine.teardown()
