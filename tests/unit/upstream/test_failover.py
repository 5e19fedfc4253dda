"""Laws of asking several endpoints: whom first, whom next, and which answer counts."""

import random
from collections.abc import Awaitable, Callable

import httpx
import pytest

from registry.errors import (
    BlobUnknown,
    Unknown,
    UpstreamDenied,
    UpstreamError,
    UpstreamFaulty,
    UpstreamThrottled,
    UpstreamUnreachable,
)
from registry.upstream.auth import Login, TokenCache
from registry.upstream.endpoint import Endpoint
from registry.upstream.failover import ROUNDS, EndpointPool, may_pass, weigh
from registry.upstream.failures import EndpointSuspended

ABSENT = BlobUnknown("r", "d")
DENIED = UpstreamDenied("o", "no")
DOWN = UpstreamUnreachable("o", "down")
RESTING = EndpointSuspended("o", "left alone", 5.0)
THROTTLED = UpstreamThrottled("o", "429")
FAULTY = UpstreamFaulty("o", "nonsense")
Failure = Unknown | UpstreamError


@pytest.mark.parametrize(
    ("failures", "verdict"),
    [
        ([ABSENT], ABSENT),
        ([ABSENT, DOWN], DOWN),
        ([DOWN, ABSENT], DOWN),
        ([ABSENT, DENIED], DENIED),
        ([DENIED, ABSENT], ABSENT),
        ([DENIED, THROTTLED, ABSENT], THROTTLED),
        ([FAULTY, ABSENT], FAULTY),
        ([DOWN, THROTTLED], THROTTLED),
    ],
)
def test_absent_only_if_nobody_left_it_open(failures: list[Failure], verdict: Failure) -> None:
    """One endpoint that could not tell is enough to leave the question open."""
    assert verdict is weigh(failures)


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (DOWN, True),
        (RESTING, False),
        (THROTTLED, False),
        (DENIED, False),
        (FAULTY, False),
        (ABSENT, False),
    ],
)
def test_only_a_broken_line_may_pass(failure: Failure, expected: bool) -> None:
    """Only a line that broke may be better in a moment; the rest is an answer."""
    assert expected is may_pass(failure)


@pytest.fixture
async def pool() -> EndpointPool:
    """Two endpoints; nothing connects to them."""
    client = httpx.AsyncClient()
    clock = lambda: 0.0  # noqa: E731
    tokens = TokenCache(client, clock)
    urls = ("https://first.example", "https://second.example/mirror")
    endpoints = [
        Endpoint(url, client, Login(url, None, tokens), clock, lambda budget: None) for url in urls
    ]
    return EndpointPool("docker.io", endpoints, clock, random.Random(1))


def answer(*answers: Failure | str) -> tuple[Callable[[Endpoint], Awaitable[str]], list[str]]:
    """Make a question that is answered in this order, and the list of who was asked."""
    asked: list[str] = []
    left = iter(answers)

    async def ask(endpoint: Endpoint) -> str:
        asked.append(endpoint.origin.removeprefix("https://").removesuffix(".example"))
        found = next(left)
        if isinstance(found, Exception):
            raise found
        return found

    return ask, asked


async def test_first_answer_settles_it(pool: EndpointPool) -> None:
    """The endpoint that was written first is asked first, and nobody else if it answers."""
    ask, asked = answer("yes")
    assert await pool.ask(ask) == "yes"
    assert asked == ["first"]


@pytest.mark.parametrize("failure", [ABSENT, DENIED, DOWN, RESTING, THROTTLED, FAULTY])
async def test_next_one_is_asked(pool: EndpointPool, failure: Failure) -> None:
    """Whatever the first one lacks, the second may have."""
    ask, asked = answer(failure, "yes")
    assert await pool.ask(ask) == "yes"
    assert asked == ["first", "second"]


async def test_absence_is_settled_in_one_round(pool: EndpointPool) -> None:
    """When all say that it is not there, nobody is asked again."""
    ask, asked = answer(ABSENT, ABSENT)
    with pytest.raises(BlobUnknown):
        await pool.ask(ask)
    assert asked == ["first", "second"]


async def test_broken_lines_are_tried_again(pool: EndpointPool) -> None:
    """Broken lines are tried in three rounds, then the question stays open."""
    ask, asked = answer(*[DOWN] * 2 * ROUNDS)
    with pytest.raises(UpstreamUnreachable):
        await pool.ask(ask)
    assert asked == ["first", "second"] * ROUNDS


async def test_second_round_may_settle_it(pool: EndpointPool) -> None:
    """A line that comes back within the rounds is used."""
    ask, asked = answer(DOWN, DOWN, "yes")
    assert await pool.ask(ask) == "yes"
    assert asked == ["first", "second", "first"]


async def test_liar_is_asked_last(pool: EndpointPool) -> None:
    """An endpoint that sent wrong bytes is asked when the others have nothing."""
    pool.candidates()[0].mark_suspect()
    ask, asked = answer(ABSENT, "yes")
    assert await pool.ask(ask) == "yes"
    assert asked == ["second", "first"]


def test_all_may_be_suspect(pool: EndpointPool) -> None:
    """When all have sent wrong bytes, they are asked in the order they were written."""
    expected = pool.candidates()
    for endpoint in expected:
        endpoint.mark_suspect()
    assert expected == pool.candidates()
