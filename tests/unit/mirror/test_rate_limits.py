"""Laws of recorded pull limits: which of them count for the next command."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest

from registry.catalog.database import Database
from registry.catalog.rate_limits import RateLimitCatalog
from registry.mirror.prefetch_cost import CostEstimator
from registry.oci.rate_limits import RateLimit

NOW = 1_000_000.0
HOUR = 3600.0
HUB, PROXY = "https://registry-1.docker.io", "https://proxy.example"
LIMIT = RateLimit(HUB, "", 100, 0, 6 * HOUR, "10.0.0.1", NOW)


@pytest.fixture
async def limits(tmp_path: Path) -> AsyncIterator[RateLimitCatalog]:
    async with Database(tmp_path / "catalog.db") as database:
        yield RateLimitCatalog(database)


async def list_limits(limits: RateLimitCatalog, now: float, user: str = "") -> dict[str, RateLimit]:
    endpoints = {"docker.io": [(PROXY, ""), (HUB, user)], "ghcr.io": [("https://ghcr.io", "")]}
    estimator = CostEstimator(Mock(), Mock(), limits, endpoints, lambda: now)
    return await estimator.list_rate_limits()


@pytest.mark.parametrize(
    ("limit", "now", "counts"),
    [
        (LIMIT, NOW, True),
        (LIMIT, NOW + 6 * HOUR - 1, True),
        (LIMIT, NOW + 6 * HOUR, False),
        (LIMIT, NOW - 30, True),
        (LIMIT, NOW - HOUR, False),  # the clock was wrong
        (replace(LIMIT, period=0.0), NOW, False),
        (replace(LIMIT, endpoint=PROXY), NOW, True),
        (replace(LIMIT, endpoint="https://former.example"), NOW, False),
        (replace(LIMIT, identity="somebody"), NOW, False),
    ],
)
async def test_which_limit_counts(
    limits: RateLimitCatalog, limit: RateLimit, now: float, counts: bool
) -> None:
    """The last limit of an endpoint and user that are in use now, within its period."""
    await limits.record(limit)
    assert await list_limits(limits, now) == ({"docker.io": limit} if counts else {})


async def test_a_limit_is_that_of_the_user(limits: RateLimitCatalog) -> None:
    """After a login the limit of anonymous requests does not count, and the other way round."""
    own = replace(LIMIT, identity="team", remaining=200, seen=NOW - HOUR)
    await limits.record(own)
    await limits.record(LIMIT)
    assert await list_limits(limits, NOW, "team") == {"docker.io": own}
    assert await list_limits(limits, NOW) == {"docker.io": LIMIT}


async def test_old_limits_are_deleted(limits: RateLimitCatalog) -> None:
    """When another limit is recorded, those of which the period is over are forgotten."""
    await limits.record(LIMIT)
    later = replace(LIMIT, endpoint=PROXY, seen=NOW + 6 * HOUR)
    await limits.record(later)
    assert await limits.list_all() == [later]
