"""Laws of the page of heartbeats."""

import pytest

from registry.server import heartbeats
from registry.server.heartbeats import BACKGROUND, REBUILD, Heartbeats


def test_each_process_has_a_place_of_its_own() -> None:
    """The beat of one process changes nothing for another one."""
    beats = Heartbeats(2)
    for number in (REBUILD, BACKGROUND, 0, 1):
        assert beats.last_beat(number) == 0
        beats.beat(number)
        assert beats.last_beat(number) > 0


def test_only_workers_answer_pulls() -> None:
    """The background process and the rebuild count neither as alive nor as silent."""
    beats = Heartbeats(2)
    beats.beat(BACKGROUND)
    beats.beat(REBUILD)

    assert not beats.was_ever_alive()
    assert list(beats.list_living()) == []
    assert beats.list_silent() == [], "they have not started"


def test_a_worker_without_a_recent_beat_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named, and the others are not ahead of it: it accepts nobody."""
    beats = Heartbeats(3)
    now = 100.0
    monkeypatch.setattr(heartbeats.time, "monotonic", lambda: now)
    for number, load in enumerate((0, 10, 10)):
        beats.beat(number)
        beats.set_connections(number, load)
    assert beats.is_ahead(1)

    now += heartbeats.DEAD
    beats.beat(1)
    beats.beat(2)

    assert list(beats.list_living()) == [1, 2]
    assert beats.list_silent() == [0]
    assert not beats.is_ahead(1)
