"""What is known of how an endpoint delivers."""

import pytest

from registry.upstream.performance import ENOUGH_RIGHT, FAILURE_MEMORY, FORGETTING, Performance

MIB = 1024 * 1024
NOW = 1_000_000.0


def test_nothing_is_known_at_first() -> None:
    assert Performance().estimate(0, NOW) is None
    assert Performance().note_first_byte(0.1, NOW).estimate(MIB, NOW) is None
    assert Performance().note_rate(MIB, 1.0, NOW).estimate(MIB, NOW) is None


def test_the_first_measurement_counts_as_it_is() -> None:
    known = Performance().note_first_byte(0.2, NOW).note_rate(MIB, 0.5, NOW)

    assert known.first_byte == pytest.approx(0.2)
    assert known.rate == pytest.approx(2 * MIB)
    assert known.estimate(4 * MIB, NOW) == pytest.approx(2.2)
    assert known.estimate(0, NOW) == pytest.approx(0.2)


def test_all_connections_together_count_if_they_are_faster() -> None:
    known = Performance().note_first_byte(0.0, NOW).note_rate(MIB, 1.0, NOW)

    assert known.note_total(4 * MIB, 1.0, NOW).estimate(8 * MIB, NOW) == pytest.approx(2.0)


def test_a_longer_measurement_counts_more() -> None:
    known = Performance().note_rate(10 * MIB, 1.0, NOW)
    short = known.note_rate(MIB // 10, 0.1, NOW)
    long = known.note_rate(8 * MIB, 8.0, NOW)

    assert known.rate is not None
    assert short.rate is not None
    assert long.rate is not None
    assert 9 * MIB < short.rate < known.rate
    assert MIB < long.rate < 3 * MIB


def test_an_old_measurement_counts_little() -> None:
    known = Performance().note_rate(10 * MIB, 1.0, NOW)
    fresh = known.note_rate(MIB, 1.0, NOW + 1)
    late = known.note_rate(MIB, 1.0, NOW + 3 * FORGETTING)

    assert fresh.rate is not None
    assert late.rate is not None
    assert fresh.rate > 4 * MIB
    assert late.rate < 1.5 * MIB


def test_a_rate_that_falls_is_noticed_as_fast_as_one_that_grows() -> None:
    """After four seconds, both are closer to the new rate than to the former one."""
    fallen = Performance().note_rate(10 * MIB, 1.0, NOW).note_rate(4 * MIB, 4.0, NOW)
    grown = Performance().note_rate(MIB, 1.0, NOW).note_rate(40 * MIB, 4.0, NOW)

    assert fallen.rate is not None
    assert grown.rate is not None
    assert fallen.rate < 3 * MIB
    assert grown.rate > 7 * MIB


def test_many_bytes_in_a_short_time_count() -> None:
    """An endpoint that was slow, and is fast now, needs no four seconds to show it."""
    known = Performance().note_rate(MIB, 1.0, NOW).note_rate(16 * MIB, 0.2, NOW)

    assert known.rate is not None
    assert known.rate > 30 * MIB


def test_nothing_received_is_a_very_low_rate() -> None:
    known = Performance().note_first_byte(0.1, NOW).note_rate(0, 20.0, NOW)

    assert (known.estimate(MIB, NOW) or 0.0) > 1000.0


def test_failures_are_soon_forgotten() -> None:
    """A breaker leaves out an endpoint that still fails, so a former outage does not count long."""
    known = Performance().note_first_byte(0.5, NOW)
    for _ in range(10):
        known = known.note_answer(NOW, is_failure=True)

    assert (known.estimate(0, NOW) or 0.0) > 5.0
    assert (known.estimate(0, NOW + 5 * FAILURE_MEMORY) or 1.0) < 0.6
    failed_again = known.note_answer(NOW + 5 * FAILURE_MEMORY, is_failure=True)
    assert failed_again.failing < 0.3


def test_a_clock_that_is_set_back_does_no_harm() -> None:
    known = Performance().note_rate(10 * MIB, 1.0, NOW).note_rate(MIB, 1.0, NOW - 5000)

    assert known.rate is not None
    assert MIB < known.rate < 10 * MIB


def test_failures_before_the_clock_was_set_back_are_forgotten() -> None:
    """Nobody knows how long ago they were, and they would otherwise count for a very long time."""
    failing = Performance().note_answer(NOW, is_failure=True)

    assert failing.chance_of_failure(NOW) > 0.2
    assert failing.chance_of_failure(NOW - 10 * FAILURE_MEMORY) < 0.001


def test_an_endpoint_that_fails_takes_longer() -> None:
    known = Performance().note_first_byte(0.5, NOW).note_rate(MIB, 1.0, NOW)
    failing = known
    for _ in range(20):
        failing = failing.note_answer(NOW, is_failure=True)
    better = failing.note_answer(NOW, is_failure=False)

    first, bad, again = known.estimate(0, NOW), failing.estimate(0, NOW), better.estimate(0, NOW)
    assert first is not None
    assert bad is not None
    assert again is not None
    assert bad > 10 * first
    assert first < again < bad


def test_right_and_wrong_bytes_are_counted() -> None:
    known = Performance().note_right(MIB, NOW).note_right(1, NOW)

    assert (known.right, known.wrong) == (MIB + 1, 0)
    assert (known.note_wrong(NOW).right, known.note_wrong(NOW).wrong) == (0, 1)


def test_wrong_bytes_are_forgiven_after_enough_right_ones() -> None:
    """Small answers of an endpoint that lies may be right, so that a few of them prove nothing."""
    right = Performance().note_right(2 * ENOUGH_RIGHT, NOW)
    liar = right.note_wrong(NOW)
    nearly = liar.note_right(ENOUGH_RIGHT - 1, NOW)

    assert [each.is_distrusted for each in (right, liar, nearly)] == [False, True, True]
    assert not nearly.note_right(1, NOW).is_distrusted
    assert nearly.note_right(1, NOW).note_wrong(NOW).is_distrusted
