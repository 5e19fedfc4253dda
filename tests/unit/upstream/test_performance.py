"""What is known of how an endpoint delivers."""

import pytest

from registry.upstream.performance import FORGETTING, Performance

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
    assert fresh.rate > 7 * MIB
    assert late.rate < 1.5 * MIB


def test_a_clock_that_is_set_back_does_no_harm() -> None:
    known = Performance().note_rate(10 * MIB, 1.0, NOW).note_rate(MIB, 1.0, NOW - 5000)

    assert known.rate is not None
    assert MIB < known.rate < 10 * MIB


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
    known = Performance().note_right(MIB).note_right(1).note_wrong()

    assert (known.right, known.wrong) == (MIB + 1, 1)
