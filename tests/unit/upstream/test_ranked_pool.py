"""Laws of a pool whose endpoints were measured: what it knows of failures comes before that."""

import pytest

from registry.upstream.endpoint import Endpoint
from registry.upstream.failover import EndpointPool
from registry.upstream.performance import FIRST_TRIAL, SUSPECT_TIME
from registry.upstream.ranking import EXPLORING
from tests.unit.upstream.test_failover import answer, make_pool, unreachable

MIB = 1024 * 1024


@pytest.fixture
async def pool() -> EndpointPool:
    """Two endpoints, and a clock that stands still."""
    return make_pool(lambda: 0.0)


def deliver(endpoint: Endpoint, rate: int) -> None:
    endpoint.measured.note_first_byte(MIB / rate)
    endpoint.measured.note_rate(20 * rate, 20.0)


async def test_the_endpoint_that_delivers_best_is_first(pool: EndpointPool) -> None:
    """A request that asks it first is answered by it; the order of answers stays that written."""
    first, second = pool.candidates()
    deliver(first, MIB)
    deliver(second, 10 * MIB)

    assert pool.candidates(size=20 * MIB) == pool.candidates() == [second, first]
    ask, asked = answer("yes")
    assert await pool.ask(ask) == "yes"
    assert asked == ["second"]


async def test_what_is_measured_comes_after_what_is_known_of_failures(pool: EndpointPool) -> None:
    """However fast it is: suspects are asked last, and so is who has no connection."""
    first, second = pool.candidates()
    deliver(first, MIB)
    deliver(second, 10 * MIB)
    pool.suspects.mark([second.origin])
    assert pool.candidates(size=20 * MIB) == [first, second]

    third, fourth = (other := make_pool(lambda: 0.0)).candidates()
    deliver(third, MIB)
    deliver(fourth, 10 * MIB)
    ask, _ = answer(unreachable(), "yes")
    await other.ask(ask)
    assert other.candidates(size=20 * MIB) == [third, fourth]


@pytest.mark.parametrize("trouble", ["suspect", "unreached", "suspended"])
async def test_an_endpoint_in_trouble_is_not_explored(pool: EndpointPool, trouble: str) -> None:
    _, second = pool.candidates()

    def explore() -> set[Endpoint | None]:
        return {pool.choose_explored("r", 20 * MIB) for _ in range(EXPLORING)}

    if trouble == "suspect":
        pool.suspects.mark([second.origin])
    elif trouble == "unreached":
        ask, _ = answer(unreachable(), unreachable(), "yes")
        await pool.ask(ask)
    else:
        second.health.is_suspended = lambda *_, **__: True  # type: ignore[method-assign]

    assert explore() == {None}


@pytest.mark.parametrize("trouble", ["", "unreached", "suspended"])
async def test_a_suspect_in_trouble_is_not_tried(trouble: str) -> None:
    now = 1000.0
    pool = make_pool(lambda: now)
    first, _ = pool.candidates()
    pool.suspects.convict(first.origin, "a/blobs/b")
    now += SUSPECT_TIME + FIRST_TRIAL
    if trouble == "unreached":
        pool.note_overtaken(first, "no answer")
    elif trouble == "suspended":
        first.health.is_suspended = lambda *_, **__: True  # type: ignore[method-assign]

    assert pool.choose_tried("r") is (None if trouble else first)


async def test_an_endpoint_that_is_not_known_is_explored(pool: EndpointPool) -> None:
    _, second = pool.candidates()

    assert second in {pool.choose_explored("r", 20 * MIB) for _ in range(EXPLORING)}


async def test_all_may_be_suspect(pool: EndpointPool) -> None:
    """When all have sent wrong bytes, all are still asked, the one marked last as the last."""
    first, second = pool.candidates()
    pool.suspects.mark([second.origin, first.origin])
    assert [second, first] == pool.candidates()
