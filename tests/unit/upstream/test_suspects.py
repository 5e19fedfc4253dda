"""Laws of endpoints that have sent wrong bytes: when they are asked."""

import pytest

from registry.upstream.failover import SUSPECT_TIME, EndpointPool
from tests.unit.upstream.test_failover import ABSENT, answer, make_pool


@pytest.fixture
async def pool() -> EndpointPool:
    """Two endpoints, and a clock that stands still."""
    return make_pool(lambda: 0.0)


async def test_suspect_is_asked_last(pool: EndpointPool) -> None:
    """An endpoint that sent wrong bytes is asked when the others do not have the blob."""
    pool.mark_suspect(["https://first.example"])
    ask, asked = answer(ABSENT, "yes")
    assert await pool.ask(ask) == "yes"
    assert asked == ["second", "first"]


def test_all_may_be_suspect(pool: EndpointPool) -> None:
    """When all have sent wrong bytes, all are still asked, the one marked last as the last."""
    first, second = pool.candidates()
    pool.mark_suspect([second.origin, first.origin])
    assert [second, first] == pool.candidates()


async def test_endpoint_is_suspect_for_ten_minutes() -> None:
    """After ten minutes an endpoint that sent wrong bytes is asked in its own place again."""
    now = 1000.0
    pool = make_pool(lambda: now)
    expected = pool.candidates()
    pool.mark_suspect([expected[0].origin])

    now += SUSPECT_TIME - 1
    assert expected[::-1] == pool.candidates()
    now += 1
    assert expected == pool.candidates()
