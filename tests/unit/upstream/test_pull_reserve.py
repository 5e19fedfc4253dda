"""Laws of the reserve of a pull limit: counted requests never go below it."""

import asyncio

import pytest

from registry.errors import PullsReserved
from registry.oci.rate_limits import RateLimit
from registry.upstream.pull_reserve import PullReserve

ORIGIN, NOW = "https://a.example", 1000.0
KEEP = 20


class Registry:
    """Plays the catalog and an endpoint: a request is counted when it is answered."""

    def __init__(self, left: int | None, seen: float = NOW) -> None:
        self.left = left
        self.seen = seen
        self.reserve = PullReserve(ORIGIN, KEEP, self.read, lambda: NOW)

    async def read(self) -> RateLimit | None:
        await asyncio.sleep(0)
        if self.left is None:
            return None
        return RateLimit(ORIGIN, "", 100, self.left, 3600.0, "", self.seen)

    async def ask(self) -> bool:
        """Send a counted request; return whether it was allowed."""
        try:
            async with self.reserve.spend():
                await asyncio.sleep(0)
                if self.left is not None:
                    self.left -= 1
                await asyncio.sleep(0)
        except PullsReserved:
            return False
        return True


@pytest.mark.parametrize(("left", "allowed"), [(30, 8), (23, 3), (21, 1), (20, 0), (3, 0)])
async def test_requests_at_once_use_exactly_what_is_free(left: int, allowed: int) -> None:
    """However many are sent at once, all that is above the reserve is used, and no more."""
    registry = Registry(left)

    found = await asyncio.gather(*(registry.ask() for _ in range(8)))

    assert (found.count(True), registry.left) == (allowed, left - allowed)


@pytest.mark.parametrize("registry", [Registry(None), Registry(3, seen=NOW - 3600.0)])
async def test_a_limit_that_is_not_known_refuses_nothing(registry: Registry) -> None:
    """A registry without a limit is asked, and one whose period is over."""
    assert await asyncio.gather(registry.ask(), registry.ask()) == [True, True]


async def test_a_request_that_fails_is_not_in_the_way_of_others() -> None:
    """The turn ends with the request, also if it raises or is cancelled."""
    registry = Registry(21)
    for failure in (RuntimeError, asyncio.CancelledError):
        with pytest.raises(failure):
            async with registry.reserve.spend():
                raise failure

    assert await registry.ask()


async def test_the_error_names_both_numbers() -> None:
    """It says how many requests are left, and how many the settings reserve."""
    with pytest.raises(PullsReserved) as caught:
        async with Registry(20).reserve.spend():
            pass

    assert str(caught.value) == (
        f"{ORIGIN}: 20 requests of its pull limit are left, and keep_pulls is 20"
    )
