"""Laws of the circuit breaker; seconds of an imaginary clock."""

import pytest

from registry.upstream.circuit_breaker import (
    FAILURES,
    FIRST_REST,
    LONGEST_REST,
    LONGEST_THROTTLE,
    SUSPICION,
    THROTTLED_REST,
    TRIAL,
    CircuitBreaker,
)

NOW = 1000.0


def fail(health: CircuitBreaker, times: int, now: float = NOW) -> CircuitBreaker:
    for _ in range(times):
        health = health.fail(now, now)
    return health


@pytest.mark.parametrize("failures", range(FAILURES))
def test_few_failures_rest_nothing(failures: int) -> None:
    """Up to two failures in a row, everybody may ask."""
    assert not fail(CircuitBreaker(), failures).rests(NOW)


def test_breaker_opens_at_the_third_failure() -> None:
    """Three failures in a row make the endpoint rest for two seconds."""
    health = fail(CircuitBreaker(), FAILURES)

    assert health.rests(NOW)
    assert health.rests(NOW + FIRST_REST - 0.001)
    assert not health.rests(NOW + FIRST_REST)


@pytest.mark.parametrize(
    ("further", "rest"), [(0, 2.0), (1, 4.0), (2, 8.0), (4, 32.0), (5, 60.0), (500, 60.0)]
)
def test_rest_doubles_up_to_a_minute(further: int, rest: float) -> None:
    """Each further failure doubles the rest, up to the longest."""
    health, now = fail(CircuitBreaker(), FAILURES), NOW
    for _ in range(further):
        now = health.rests_until
        health = health.admit(now).fail(now, now)
    assert rest == pytest.approx(health.rests_until - now)
    assert rest <= LONGEST_REST


def test_success_closes_the_breaker() -> None:
    """One useful answer forgets all failures and the rest."""
    health = fail(CircuitBreaker(), FAILURES + 3).succeed()

    assert not health.rests(NOW)
    assert not fail(health, FAILURES - 1).rests(NOW)


def test_first_after_the_rest_goes_alone() -> None:
    """When the rest is over one caller tries, and the others are spared until it knows."""
    health = fail(CircuitBreaker(), FAILURES)
    later = NOW + FIRST_REST

    tried = health.admit(later)

    assert tried.rests(later)
    assert not tried.rests(later + TRIAL), "a trial that never ends must not close the door"


def test_failed_trial_rests_longer() -> None:
    """A trial that fails makes the endpoint rest twice as long as before."""
    later = NOW + FIRST_REST
    health = fail(CircuitBreaker(), FAILURES).admit(later).fail(later, later)
    assert later + 2 * FIRST_REST == health.rests_until


def test_good_trial_lets_all_in() -> None:
    """A trial that succeeds opens the door for everybody at once."""
    later = NOW + FIRST_REST
    assert not fail(CircuitBreaker(), FAILURES).admit(later).succeed().rests(later)


def test_healthy_endpoint_admits_all() -> None:
    """Without failures, one who asks keeps nobody away."""
    assert CircuitBreaker() == CircuitBreaker().admit(NOW)
    assert fail(CircuitBreaker(), 1) == fail(CircuitBreaker(), 1).admit(NOW)


@pytest.mark.parametrize(
    ("retry_after", "rest"),
    [(None, THROTTLED_REST), (30.0, 30.0), (0.0, 1.0), (-5.0, 1.0), (9e9, LONGEST_THROTTLE)],
)
def test_throttled_endpoint_rests_as_it_says(retry_after: float | None, rest: float) -> None:
    """A 429 is obeyed, within a second and two minutes; a minute where it does not say."""
    assert NOW + rest == CircuitBreaker().throttle(NOW, retry_after).rests_until


def test_throttling_never_shortens_a_rest() -> None:
    """A short 429 during a long rest leaves the long one."""
    health = CircuitBreaker().throttle(NOW, 100.0)
    assert health == health.throttle(NOW, 10.0)


def test_throttling_is_no_failure() -> None:
    """An endpoint that throttled is not a step nearer to an open breaker."""
    health = fail(CircuitBreaker(), FAILURES - 1).throttle(NOW, 1.0)
    assert health.failures == FAILURES - 1


def test_liar_is_suspect_for_a_while() -> None:
    """Wrong bytes make an endpoint suspect, not resting, and a good answer does not clear it."""
    health = CircuitBreaker().mark_suspect(NOW).succeed()

    assert health.is_suspect(NOW)
    assert not health.rests(NOW)
    assert not health.is_suspect(NOW + SUSPICION)
