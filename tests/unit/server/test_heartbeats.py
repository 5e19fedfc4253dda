"""Laws of the page of heartbeats."""

from dataclasses import replace

import pytest

from registry.server import heartbeats
from registry.server.heartbeats import BACKGROUND, REBUILD, Heartbeats, Vitals, WorkerLoad


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
    assert beats.read_loads().keys() == {1, 2}
    assert not beats.is_ahead(1)


def test_a_load_and_a_beat_do_not_overwrite_each_other() -> None:
    """Each is written at its own time; the number of connections belongs to both."""
    beats = Heartbeats(2)
    load = WorkerLoad(1, 20, 30, 100, 5.0)
    beats.set_load(1, load)
    assert beats.last_beat(1) == 0
    beats.beat(1)
    assert beats.read_loads() == {1: load}

    beats.set_connections(1, 7)
    beats.set_vitals(1, Vitals(memory=5, readers=6))
    beats.beat(0)
    assert beats.read_loads() == {0: WorkerLoad(0, 0, 0, 0), 1: replace(load, connections=7)}


def test_vitals_are_those_of_living_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a process used that does not beat any more is forgotten; the background has some too."""
    beats, now = Heartbeats(2), 100.0
    monkeypatch.setattr(heartbeats.time, "monotonic", lambda: now)
    for number in (BACKGROUND, 0, 1):
        beats.set_vitals(number, Vitals(10 + number, number))
    assert beats.read_vitals() == {}
    for number in (BACKGROUND, 0, 1):
        beats.beat(number)
    assert beats.read_vitals() == {-1: Vitals(9, -1), 0: Vitals(10, 0), 1: Vitals(11, 1)}

    now += heartbeats.DEAD
    beats.beat(1)

    assert beats.read_vitals() == {1: Vitals(11, 1)}
    assert beats.read_loads()[1] == WorkerLoad(0, 0, 0, 0)


def test_replacements_are_counted_over_reloads() -> None:
    """The next page begins with the count of the former one; nothing else changes it."""
    beats = Heartbeats(1)
    assert beats.replaced == 0
    beats.note_replaced()
    beats.note_replaced()
    beats.set_vitals(0, Vitals(1, 2))
    beats.beat(0)

    assert beats.replaced == 2
    assert Heartbeats(3, beats.replaced).replaced == 2


def test_a_page_begins_when_the_settings_were_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails later does not change when it last succeeded."""
    monkeypatch.setattr(heartbeats.time, "time", lambda: 1000.0)
    beats = Heartbeats(1)
    assert beats.read_loading() == (True, 1000.0)

    monkeypatch.setattr(heartbeats.time, "time", lambda: 2000.0)
    beats.note_not_reloaded()

    assert beats.read_loading() == (False, 1000.0)
    assert beats.replaced == 0
    assert Heartbeats(1).read_loading() == (True, 2000.0)
