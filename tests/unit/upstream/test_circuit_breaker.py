"""Laws of the circuit breaker; times are seconds of an imaginary clock."""

import pytest

from registry.upstream.circuit_breaker import (
    FAILURES,
    FIRST_OPEN_TIME,
    LONGEST_OPEN_TIME,
    LONGEST_THROTTLED_TIME,
    PROBE_TIME,
    THROTTLED_TIME,
    CircuitBreaker,
)

NOW = 1000.0


def fail(breaker: CircuitBreaker, times: int, now: float = NOW) -> CircuitBreaker:
    for _ in range(times):
        breaker = breaker.fail(now, now)
    return breaker


@pytest.mark.parametrize("failures", range(FAILURES))
def test_few_failures_leave_the_breaker_closed(failures: int) -> None:
    """After up to two failures in a row every request goes through."""
    assert not fail(CircuitBreaker(), failures).is_open(NOW)


def test_breaker_opens_at_the_third_failure() -> None:
    """Three failures in a row open the breaker for two seconds."""
    breaker = fail(CircuitBreaker(), FAILURES)

    assert breaker.is_open(NOW)
    assert breaker.is_open(NOW + FIRST_OPEN_TIME - 0.001)
    assert not breaker.is_open(NOW + FIRST_OPEN_TIME)


@pytest.mark.parametrize(
    ("further", "seconds"), [(0, 2.0), (1, 4.0), (2, 8.0), (4, 32.0), (5, 60.0), (500, 60.0)]
)
def test_open_time_doubles_up_to_a_minute(further: int, seconds: float) -> None:
    """Each further failure doubles the time that the breaker is open, up to the longest."""
    breaker, now = fail(CircuitBreaker(), FAILURES), NOW
    for _ in range(further):
        now = breaker.open_until
        breaker = breaker.admit(now).fail(now, now)
    assert seconds == pytest.approx(breaker.open_until - now)
    assert seconds <= LONGEST_OPEN_TIME


def test_success_closes_the_breaker() -> None:
    """One useful answer closes the breaker and resets the count of failures."""
    breaker = fail(CircuitBreaker(), FAILURES + 3).succeed()

    assert not breaker.is_open(NOW)
    assert not fail(breaker, FAILURES - 1).is_open(NOW)


def test_half_open_breaker_admits_one_probe() -> None:
    """When the open time is over one request goes through, and the others wait for its result."""
    breaker = fail(CircuitBreaker(), FAILURES)
    later = NOW + FIRST_OPEN_TIME

    probed = breaker.admit(later)

    assert probed.is_open(later)
    assert not probed.is_open(later + PROBE_TIME), (
        "a probe that never ends must not block the endpoint"
    )


def test_failed_probe_opens_for_longer() -> None:
    """A probe that fails opens the breaker for twice as long as before."""
    later = NOW + FIRST_OPEN_TIME
    breaker = fail(CircuitBreaker(), FAILURES).admit(later).fail(later, later)
    assert later + 2 * FIRST_OPEN_TIME == breaker.open_until


def test_successful_probe_closes_the_breaker() -> None:
    """After a probe that succeeds every request goes through at once."""
    later = NOW + FIRST_OPEN_TIME
    assert not fail(CircuitBreaker(), FAILURES).admit(later).succeed().is_open(later)


def test_closed_breaker_admits_all() -> None:
    """While the breaker is closed one request does not keep others away."""
    assert CircuitBreaker() == CircuitBreaker().admit(NOW)
    assert fail(CircuitBreaker(), 1) == fail(CircuitBreaker(), 1).admit(NOW)


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [(None, THROTTLED_TIME), (30.0, 30.0), (0.0, 1.0), (-5.0, 1.0), (9e9, LONGEST_THROTTLED_TIME)],
)
def test_429_opens_as_long_as_it_says(retry_after: float | None, seconds: float) -> None:
    """A 429 opens for its Retry-After, between 1 s and 2 minutes; for a minute without one."""
    assert NOW + seconds == CircuitBreaker().throttle(NOW, retry_after).throttled_until


def test_429_never_shortens_the_open_time() -> None:
    """A short 429 while the breaker is open for longer changes nothing."""
    breaker = CircuitBreaker().throttle(NOW, 100.0)
    assert breaker == breaker.throttle(NOW, 10.0)


def test_429_is_no_failure() -> None:
    """A 429 does not count as a failure in a row."""
    breaker = fail(CircuitBreaker(), FAILURES - 1).throttle(NOW, 1.0)
    assert breaker.failures == FAILURES - 1


def test_requests_under_way_do_not_prolong_the_open_time() -> None:
    """Requests that were under way when the breaker opened do not count as further failures."""
    breaker = CircuitBreaker()
    for number in range(8):
        breaker = breaker.fail(NOW + number / 100, NOW - 1)
    assert breaker.failures == FAILURES
    assert breaker.open_until == NOW + 0.02 + FIRST_OPEN_TIME


def test_probe_without_result_makes_way_for_the_next() -> None:
    """When a probe ends without a result the next request may probe at once."""
    later = NOW + FIRST_OPEN_TIME
    breaker = CircuitBreaker()
    for _ in range(FAILURES):
        breaker = breaker.fail(NOW, NOW)
    probed = breaker.admit(later)
    assert probed.is_probing(later + PROBE_TIME - 0.1)
    assert not probed.end_probe().is_open(later)
