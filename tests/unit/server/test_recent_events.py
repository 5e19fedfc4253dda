"""Laws of the events that all processes of a server show each other."""

import os

from registry.server.recent_events import LONGEST_VALUE, PAGE, SUPERVISOR, RecentEvents


def test_another_process_sees_an_event() -> None:
    """A child notes it, and its parent reads it; facts are texts."""
    events = RecentEvents(2)
    child = os.fork()
    if not child:
        events.make_writer(1)({"event": "endpoint failed", "level": "warning", "tries": 3})
        os._exit(0)
    os.waitpid(child, 0)
    (found,) = events.read()

    assert found["event"] == "endpoint failed"
    assert found["level"] == "warning"
    assert found["facts"] == {"tries": "3"}


def test_the_latest_comes_first_whoever_noted_it() -> None:
    """The pages of all processes are one list."""
    events = RecentEvents(1)
    for number, name in ((0, "one"), (SUPERVISOR, "two"), (-1, "three")):
        events.make_writer(number)({"event": name, "level": "info"})

    assert [each["event"] for each in events.read()] == ["three", "two", "one"]


def test_old_events_make_room_for_new_ones() -> None:
    """A page never has more than its bytes, and each event in it is whole."""
    events = RecentEvents(1)
    write = events.make_writer(0)
    for number in range(2000):
        write({"event": str(number), "level": "info", "why": "x" * 100})
    found = [each["event"] for each in events.read()]

    assert found[0] == "1999"
    assert PAGE // 400 < len(found) < PAGE // 100
    assert found == [str(number) for number in range(1999, 1999 - len(found), -1)]


def test_long_facts_are_cut() -> None:
    """One event cannot push out all others, and no trace is on a page."""
    events = RecentEvents(1)
    write = events.make_writer(0)
    write({"event": "a", "level": "error", "exception": "Traceback", "why": "x" * 100_000})
    (found,) = events.read()

    assert len(found["facts"]["why"]) == LONGEST_VALUE
    assert "exception" not in found["facts"]
