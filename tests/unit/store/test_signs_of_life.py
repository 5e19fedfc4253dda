"""Laws of signs of life: when a process has stopped, and when the whole machine has."""

from registry.store.signs_of_life import INTERVAL, Silence


def test_silence_is_the_time_since_the_last_change() -> None:
    """Each other sign ends the silence; the same sign prolongs it."""
    silence = Silence()

    assert [silence.measure(1.0, moment) for moment in (100.0, 101.0, 102.0)] == [0, 1, 2]
    assert [silence.measure(2.0, moment) for moment in (103.0, 104.0)] == [0, 1]


def test_what_gave_no_sign_at_all_is_silent_too() -> None:
    """The beat of a process that has never beaten is 0."""
    silence = Silence()

    assert [silence.measure(0.0, float(moment)) for moment in range(4)] == [0, 1, 2, 3]


def test_time_in_which_nobody_looked_does_not_count() -> None:
    """After a paused container goes on, nobody is taken for stopped who had no time for a sign."""
    silence = Silence()
    silence.measure(1.0, 100.0)

    assert silence.measure(1.0, 100_000.0) == 5 * INTERVAL
    assert silence.measure(1.0, 99_000.0) == 5 * INTERVAL, "a clock that goes back counts nothing"
