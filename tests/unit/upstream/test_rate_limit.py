"""Laws of pull limits, of `Retry-After`, and of retry budgets."""

import random

import pytest

from registry.oci.rate_limits import RateLimit
from registry.upstream.backoff import FIRST_WAIT, LONGEST_WAIT, RetryBudget
from registry.upstream.rate_limit import read_rate_limit, read_retry_after

NOW = 1_700_000_000.0  # epoch seconds


def test_limit_of_docker_hub() -> None:
    """Both headers together say how many pulls of how many are left, for whom, in which time."""
    headers = {
        "ratelimit-limit": "100;w=21600",
        "ratelimit-remaining": "76;w=21600",
        "docker-ratelimit-source": "192.0.2.7",
    }

    expected = RateLimit("https://h", "acme", 100, 76, 21600.0, "192.0.2.7", NOW)
    assert expected == read_rate_limit("https://h", "acme", headers, NOW)


def test_limit_without_window() -> None:
    """A limit without a window has the period 0, and a source that is not said is empty."""
    headers = {"ratelimit-limit": "100", "ratelimit-remaining": "0"}
    assert RateLimit("o", "", 100, 0, 0.0, "", NOW) == read_rate_limit("o", "", headers, NOW)


@pytest.mark.parametrize(
    ("limit", "remaining"),
    [("", ""), ("100", ""), ("", "5"), ("many", "5"), ("-1", "5"), ("100", "٣"), ("9" * 99, "x")],
)
def test_unreadable_limit_is_none(limit: str, remaining: str) -> None:
    """Without two readable numbers there is no limit, rather than a wrong one."""
    headers = {"ratelimit-limit": limit, "ratelimit-remaining": remaining}
    assert read_rate_limit("o", "", headers, NOW) is None


def test_source_is_cut() -> None:
    """The text that an upstream sends as the source is cut to 100 characters."""
    headers = {"ratelimit-limit": "1", "ratelimit-remaining": "1"}
    headers |= {"docker-ratelimit-source": "x" * 5000}
    limit = read_rate_limit("o", "", headers, NOW)
    assert limit is not None
    assert len(limit.source) == 100


@pytest.mark.parametrize(("text", "seconds"), [("60", 60.0), (" 0 ", 0.0), ("9999999", 9999999.0)])
def test_retry_after_in_seconds(text: str, seconds: float) -> None:
    """A number of seconds is read."""
    assert seconds == read_retry_after({"retry-after": text})


@pytest.mark.parametrize(
    "text", ["", "-1", "1.5", "soon", "٣", "99999999", "Wed, 21 Oct 2026 07:28:00 GMT"]
)
def test_other_retry_after_is_ignored(text: str) -> None:
    """Anything but a small whole number counts as absent."""
    assert read_retry_after({"retry-after": text}) is None
    assert read_retry_after({}) is None


def test_waits_double_with_jitter() -> None:
    """Waits double up to the longest; up to half of each is left out at random."""
    retries = RetryBudget(1e6, random.Random(1))

    waits = [retries.next_wait(0.0) or 0.0 for _ in range(12)]

    for tries, wait in enumerate(waits):
        longest = min(LONGEST_WAIT, FIRST_WAIT * 2**tries)
        assert longest / 2 <= wait <= longest


def test_retry_budget_runs_out() -> None:
    """A wait that would end after the deadline is not begun."""
    retries = RetryBudget(10.0, random.Random(1))

    assert retries.next_wait(0.0) is not None
    assert retries.next_wait(9.99) is None


def test_wait_is_at_least_what_was_asked() -> None:
    """The wait is as long as the upstream asks for; if that is too long there is none."""
    retries = RetryBudget(10.0, random.Random(1))

    assert retries.next_wait(0.0, at_least=7.0) == 7.0
    assert retries.next_wait(0.0, at_least=11.0) is None


def test_progress_renews_the_budget() -> None:
    """Progress moves the deadline and starts the waits over."""
    retries = RetryBudget(10.0, random.Random(1))
    for _ in range(8):
        retries.next_wait(0.0)

    retries.renew(110.0)

    wait = retries.next_wait(109.0)
    assert wait is not None
    assert wait <= FIRST_WAIT
