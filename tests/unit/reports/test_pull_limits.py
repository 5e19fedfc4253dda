"""Laws of pull limits: needed requests are added up for each registry, one line each."""

import math
import time
from dataclasses import replace

import pytest

from registry.cli.images.rate_limits import BudgetTracker, draw_limits
from registry.errors import UpstreamThrottled
from registry.oci.rate_limits import RateLimit
from registry.reports.pull_limits import Estimate, PullLimit, add_up

NOW = time.time()
HUB, OTHER = "docker.io", "ghcr.io"
LIMIT = RateLimit("https://hub", "", 100, 2, 21_600.0, "header", NOW)


def estimate(least: int, most: float, missing: int | None = None) -> Estimate:
    return Estimate.of(least, most, missing)


def test_what_images_need_is_added_up_by_registry() -> None:
    """Registries come in the order of their first image, with the limit that each reported."""
    needs = [(HUB, estimate(1, 3)), (OTHER, estimate(2, 2)), (HUB, estimate(0, 0))]
    assert add_up(needs, {HUB: LIMIT}) == [
        PullLimit(HUB, 1, 3, remaining=2, allowed=100, period=21_600.0, seen=NOW),
        PullLimit(OTHER, 2, 2),
    ]


def test_one_unknown_need_makes_the_sum_unknown() -> None:
    """If one image has an unknown number of manifests, there is no maximum."""
    (limit,) = add_up([(HUB, estimate(1, math.inf)), (HUB, estimate(1, 2))], {})
    assert (limit.min_requests, limit.max_requests) == (2, None)


@pytest.mark.parametrize(
    ("limit", "line"),
    [
        (
            PullLimit(HUB, 2, 2, 2, 100, 21_600.0, NOW),
            (
                "docker.io: this needs 2 manifest requests; 2 of 100 in 6h are left of the"
                " pull limit (reported now)"
            ),
        ),
        (
            PullLimit(OTHER, 1, None),
            (
                "ghcr.io: this needs 1 or more manifest requests; the registry has reported no"
                " pull limit"
            ),
        ),
        (
            PullLimit(OTHER, 1, 1),
            "ghcr.io: this needs 1 manifest request; the registry has reported no pull limit",
        ),
        (
            PullLimit(OTHER, 0, 3),
            (
                "ghcr.io: this needs 0 to 3 manifest requests; the registry has reported no"
                " pull limit"
            ),
        ),
    ],
)
def test_a_limit_is_one_line(limit: PullLimit, line: str) -> None:
    """The line has the needed requests, and those that are left of the limit."""
    limit = replace(limit, seen=time.time())
    assert [each.replace("just now", "now") for each in draw_limits([limit])] == [line]


def test_a_limit_that_is_too_low_is_said() -> None:
    """The line says what will happen, and what to do."""
    (line,) = draw_limits([PullLimit(HUB, 4, 12, 2, 100, 21_600.0, NOW)])
    assert line.startswith("docker.io: this needs 4 to 12 manifest requests; 2 of 100 in 6h")
    assert line.endswith(
        "those beyond that will fail: run the command again later, and it continues"
    )


def test_where_nothing_is_needed_nothing_is_said() -> None:
    """An image that is stored needs no counted request, and no line."""
    assert draw_limits(add_up([(HUB, estimate(0, 0, 0))], {HUB: LIMIT})) == []


def test_a_limit_is_never_exceeded() -> None:
    """An image that needs more than is left is refused, with the time after which to try again."""
    tracker = BudgetTracker({HUB: LIMIT}, clock=lambda: NOW)
    tracker.spend(HUB, 2)
    tracker.spend(OTHER, 1000)
    with pytest.raises(UpstreamThrottled, match="its pull limit has 0 left") as refused:
        tracker.spend(HUB, 1)
    assert refused.value.retry_after == LIMIT.period


@pytest.mark.parametrize(
    ("elapsed", "is_refused"),
    [
        (0.0, True),
        (21_599.0, True),
        (21_600.0, False),
        (90_000.0, False),
        (-59, True),
        (-61, False),
    ],
)
def test_a_limit_is_forgotten_after_its_period(elapsed: float, is_refused: bool) -> None:
    """A limit that is used up refuses nothing more when its period is over, also in one command.

    If the clock was set back since it was reported, nobody knows when its period is over.
    """
    now = NOW
    tracker = BudgetTracker({HUB: replace(LIMIT, remaining=0)}, clock=lambda: now)
    now += elapsed
    if is_refused:
        with pytest.raises(UpstreamThrottled) as refused:
            tracker.spend(HUB, 1)
        assert refused.value.retry_after == pytest.approx(21_600.0 - elapsed)
    else:
        tracker.spend(HUB, 1)


def test_a_limit_without_a_period_refuses_nothing() -> None:
    """An endpoint that names no period says nothing about any later request."""
    BudgetTracker({HUB: replace(LIMIT, remaining=0, period=0.0)}, clock=lambda: NOW).spend(HUB, 1)
