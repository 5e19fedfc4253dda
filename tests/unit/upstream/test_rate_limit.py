"""Laws of pull budgets, of `Retry-After`, and of patience."""

import random

import pytest

from registry.upstream.backoff import FIRST_WAIT, LONGEST_WAIT, RetryBudget
from registry.upstream.rate_limit import Budget, read_budget, read_retry_after


def test_budget_of_docker_hub() -> None:
    """Both headers together say how many pulls of how many are left, for whom, in which time."""
    headers = {
        "ratelimit-limit": "100;w=21600",
        "ratelimit-remaining": "76;w=21600",
        "docker-ratelimit-source": "192.0.2.7",
    }

    expected = Budget("https://h", "acme", 100, 76, 21600.0, "192.0.2.7")
    assert expected == read_budget("https://h", "acme", headers)


def test_budget_without_window() -> None:
    """A budget without a window has the period 0, and an unknown source is empty."""
    headers = {"ratelimit-limit": "100", "ratelimit-remaining": "0"}
    assert Budget("o", "", 100, 0, 0.0, "") == read_budget("o", "", headers)


@pytest.mark.parametrize(
    ("limit", "remaining"),
    [("", ""), ("100", ""), ("", "5"), ("many", "5"), ("-1", "5"), ("100", "٣"), ("9" * 99, "x")],
)
def test_unsaid_budget_is_none(limit: str, remaining: str) -> None:
    """Without two readable numbers there is no budget, rather than a wrong one."""
    assert (
        read_budget("o", "", {"ratelimit-limit": limit, "ratelimit-remaining": remaining}) is None
    )


def test_source_is_cut() -> None:
    """What an upstream says of the source is bounded."""
    headers = {"ratelimit-limit": "1", "ratelimit-remaining": "1"}
    budget = read_budget("o", "", headers | {"docker-ratelimit-source": "x" * 5000})
    assert budget is not None
    assert len(budget.source) == 100


@pytest.mark.parametrize(("text", "seconds"), [("60", 60.0), (" 0 ", 0.0), ("9999999", 9999999.0)])
def test_retry_after_in_seconds(text: str, seconds: float) -> None:
    """A number of seconds is read."""
    assert seconds == read_retry_after({"retry-after": text})


@pytest.mark.parametrize(
    "text", ["", "-1", "1.5", "soon", "٣", "99999999", "Wed, 21 Oct 2026 07:28:00 GMT"]
)
def test_other_retry_after_is_unsaid(text: str) -> None:
    """Anything but a small whole number counts as not said."""
    assert read_retry_after({"retry-after": text}) is None
    assert read_retry_after({}) is None


def test_waits_double_with_jitter() -> None:
    """Waits double up to the longest, each shortened by chance to no less than its half."""
    retries = RetryBudget(1e6, 1e6, random.Random(1))

    waits = [retries.next_wait(0.0) or 0.0 for _ in range(12)]

    for tries, wait in enumerate(waits):
        longest = min(LONGEST_WAIT, FIRST_WAIT * 2**tries)
        assert longest / 2 <= wait <= longest


def test_patience_runs_out() -> None:
    """A wait that would end behind the deadline is not begun."""
    retries = RetryBudget(10.0, 10.0, random.Random(1))

    assert retries.next_wait(0.0) is not None
    assert retries.next_wait(9.99) is None


def test_wait_is_at_least_what_was_asked() -> None:
    """What the upstream asks for is waited, or patience runs out at once."""
    retries = RetryBudget(10.0, 10.0, random.Random(1))

    assert retries.next_wait(0.0, at_least=7.0) == 7.0
    assert retries.next_wait(0.0, at_least=11.0) is None


def test_progress_renews_patience() -> None:
    """Progress moves the deadline and starts the waits over."""
    retries = RetryBudget(10.0, 10.0, random.Random(1))
    for _ in range(8):
        retries.next_wait(0.0)

    retries.renew(100.0)

    wait = retries.next_wait(109.0)
    assert wait is not None
    assert wait <= FIRST_WAIT
