"""Laws of asking several endpoints: in which order, and which answer counts."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import httpx
import pytest
import structlog

from registry.errors import (
    BlobUnknown,
    Unknown,
    UpstreamDenied,
    UpstreamError,
    UpstreamFaulty,
    UpstreamThrottled,
    UpstreamUnreachable,
)
from registry.upstream.auth import Login
from registry.upstream.combined_failures import combine, is_temporary
from registry.upstream.contract import Fallback
from registry.upstream.endpoint import Endpoint
from registry.upstream.failover import ROUNDS, EndpointPool
from registry.upstream.failures import (
    EndpointSuspended,
    HeadRefused,
    NoConnection,
    RangeRefused,
    RequestRefused,
)
from registry.upstream.suspects import SUSPECT_TIME
from registry.upstream.tokens import TokenCache

ABSENT = BlobUnknown("r", "d")
DENIED = UpstreamDenied("o", "no")
DOWN = UpstreamUnreachable("o", "down")
SUSPENDED = EndpointSuspended("o", "not asked again yet", 5.0)
THROTTLED = UpstreamThrottled("o", "429")
FAULTY = UpstreamFaulty("o", "nonsense")
Failure = Unknown | UpstreamError


@pytest.mark.parametrize(
    ("failures", "expected"),
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
def test_unknown_only_if_every_endpoint_was_clear(
    failures: list[Failure], expected: Failure
) -> None:
    """One endpoint without a clear answer is enough to leave the question open."""
    assert expected is combine(failures)


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (DOWN, True),
        (SUSPENDED, False),
        (THROTTLED, False),
        (DENIED, False),
        (FAULTY, False),
        (ABSENT, False),
    ],
)
def test_only_a_broken_connection_is_temporary(failure: Failure, expected: bool) -> None:
    """Only a connection that broke may work in a moment; the other failures are answers."""
    assert expected is is_temporary(failure)


def unreachable() -> NoConnection:
    return NoConnection("https://first.example", "no connection in time")


def make_pool(clock: Callable[[], float]) -> EndpointPool:
    """Make a pool of two endpoints; nothing connects to them."""
    client = httpx.AsyncClient()
    tokens = TokenCache(client, clock)
    urls = ("https://first.example", "https://second.example/mirror")
    endpoints = [
        Endpoint(url, client, Login(url, None, tokens), clock, lambda limit: None) for url in urls
    ]
    return EndpointPool("docker.io", endpoints, clock, random.Random(1))


@pytest.fixture
async def pool() -> EndpointPool:
    """Two endpoints, and a clock that stands still."""
    return make_pool(lambda: 0.0)


def answer(*answers: Failure | str) -> tuple[Callable[[Endpoint], Awaitable[str]], list[str]]:
    """Make a question that gets these answers in this order, and the list of who was asked."""
    asked: list[str] = []
    left = iter(answers)

    async def ask(endpoint: Endpoint) -> str:
        asked.append(endpoint.origin.removeprefix("https://").removesuffix(".example"))
        found = next(left)
        if isinstance(found, Exception):
            raise found
        return found

    return ask, asked


async def test_first_answer_is_enough(pool: EndpointPool) -> None:
    """The first endpoint of the settings is asked first, and no other one if it answers."""
    ask, asked = answer("yes")
    assert await pool.ask(ask) == "yes"
    assert asked == ["first"]


@pytest.mark.parametrize("failure", [ABSENT, DENIED, DOWN, SUSPENDED, THROTTLED, FAULTY])
async def test_next_one_is_asked(pool: EndpointPool, failure: Failure) -> None:
    """After any failure of the first endpoint the second one is asked."""
    ask, asked = answer(failure, "yes")
    assert await pool.ask(ask) == "yes"
    assert asked == ["first", "second"]


async def test_unknown_takes_one_round(pool: EndpointPool) -> None:
    """When all endpoints say that they have no such blob, none is asked again."""
    ask, asked = answer(ABSENT, ABSENT)
    with pytest.raises(BlobUnknown):
        await pool.ask(ask)
    assert asked == ["first", "second"]


async def test_broken_connections_are_tried_again(pool: EndpointPool) -> None:
    """When all connections break there are three rounds, and then an error."""
    ask, asked = answer(*[DOWN] * 2 * ROUNDS)
    with pytest.raises(UpstreamUnreachable):
        await pool.ask(ask)
    assert asked == ["first", "second"] * ROUNDS


async def test_second_round_may_succeed(pool: EndpointPool) -> None:
    """An endpoint that works again in a later round gives the answer."""
    ask, asked = answer(DOWN, DOWN, "yes")
    assert await pool.ask(ask) == "yes"
    assert asked == ["first", "second", "first"]


@pytest.mark.parametrize("fallback", [Fallback.KNOWN, Fallback.EMPTY])
async def test_retry_after_is_not_waited_for_if_there_is_a_fallback(
    pool: EndpointPool, fallback: Fallback
) -> None:
    """The client gets the fallback at once, and not after the time that the upstream names."""
    ask, asked = answer(*[UpstreamUnreachable("o", "answers 503", 1.0)] * 2)
    async with asyncio.timeout(0.5):
        with pytest.raises(UpstreamUnreachable):
            await pool.ask(ask, fallback=fallback)
    assert asked == ["first", "second"]


async def test_suspect_is_asked_last(pool: EndpointPool) -> None:
    """An endpoint that sent wrong bytes is asked when the others do not have the blob."""
    pool.suspects.mark(["https://first.example"])
    ask, asked = answer(ABSENT, "yes")
    assert await pool.ask(ask) == "yes"
    assert asked == ["second", "first"]


async def test_endpoint_is_suspect_for_ten_minutes() -> None:
    """After ten minutes an endpoint that sent wrong bytes is asked in its own place again."""
    now = 1000.0
    pool = make_pool(lambda: now)
    expected = pool.candidates()
    pool.suspects.mark([expected[0].origin])

    now += SUSPECT_TIME - 1
    assert expected[::-1] == pool.candidates()
    now += 1
    assert expected == pool.candidates()


async def test_endpoint_without_a_connection_is_asked_last() -> None:
    """After a time that doubles, it is asked first again; a connection ends that."""
    now = 1000.0
    pool = make_pool(lambda: now)
    expected = pool.candidates()
    for seconds in (2.0, 4.0, 8.0, 16.0, 30.0, 30.0):
        await pool.ask(answer(unreachable(), "yes")[0])
        now += seconds - 0.1
        assert expected[::-1] == pool.candidates()
        await pool.ask(answer("yes")[0])  # the second endpoint
        now += 0.1
        assert expected == pool.candidates()

    await pool.ask(answer("yes")[0])  # the first endpoint
    await pool.ask(answer(unreachable(), "yes")[0])
    now += 2.0
    assert expected == pool.candidates()


async def test_requests_at_the_same_time_count_once() -> None:
    """An endpoint that ten requests do not reach is not avoided for longer."""
    now = 1000.0
    pool = make_pool(lambda: now)
    expected = pool.candidates()
    questions = [answer(unreachable(), "yes")[0] for _ in range(10)]
    await asyncio.gather(*(pool.ask(ask) for ask in questions))
    now += 2.0
    assert expected == pool.candidates()


async def test_endpoint_without_a_connection_is_not_asked_in_vain(pool: EndpointPool) -> None:
    """For what most images do not have, the "no" of the other endpoint is enough."""
    ask, _ = answer(unreachable(), "yes")
    await pool.ask(ask)

    ask, asked = answer(ABSENT)
    with pytest.raises(BlobUnknown):
        await pool.ask(ask, is_optional=True)
    assert asked == ["second"]

    ask, asked = answer(ABSENT, "yes")
    assert await pool.ask(ask) == "yes"
    assert asked == ["second", "first"]


@pytest.mark.parametrize("dead", [unreachable(), DOWN, SUSPENDED, THROTTLED, FAULTY, DENIED])
@pytest.mark.parametrize("is_first", [True, False])
async def test_clear_no_is_enough_beside_a_dead_endpoint(
    pool: EndpointPool, dead: UpstreamError, *, is_first: bool
) -> None:
    """For what most images do not have, whatever the other endpoint does."""
    ask, asked = answer(*((dead, ABSENT) if is_first else (ABSENT, dead)))
    with pytest.raises(BlobUnknown):
        await pool.ask(ask, is_optional=True)
    assert asked == ["first", "second"]


@pytest.mark.parametrize("failures", [(unreachable(), ABSENT), (ABSENT, unreachable())])
async def test_dead_endpoint_leaves_other_questions_open(
    pool: EndpointPool, failures: tuple[Failure, Failure]
) -> None:
    """The dead endpoint may have the image."""
    with pytest.raises(UpstreamUnreachable):
        await pool.ask(answer(*failures * ROUNDS)[0])


async def test_refused_head_is_no_clear_no(pool: EndpointPool) -> None:
    """Where the HEAD was refused, a GET may find what another endpoint does not have."""
    with pytest.raises(HeadRefused):
        await pool.ask(answer(HeadRefused("o", "refuses HEAD (404)"), ABSENT)[0], is_optional=True)


async def test_all_without_a_connection_are_asked(pool: EndpointPool) -> None:
    """When no endpoint could be reached, all are asked again."""
    ask, _ = answer(*[unreachable()] * 4)
    with pytest.raises(UpstreamUnreachable):
        await pool.ask(ask, fallback=Fallback.KNOWN)

    ask, asked = answer(unreachable(), "yes")
    assert await pool.ask(ask, is_optional=True) == "yes"
    assert asked == ["first", "second"]


async def test_refused_head_is_the_result(pool: EndpointPool) -> None:
    """A refused HEAD is not tried again: a GET may be answered there."""
    ask, asked = answer(HeadRefused("o", "refuses HEAD (404)"), DOWN)
    with pytest.raises(HeadRefused):
        await pool.ask(ask)
    assert asked == ["first", "second"]


@pytest.mark.parametrize(
    ("failure", "is_logged"),
    [
        (RequestRefused("o", "answers 400"), True),
        (DOWN, True),
        (HeadRefused("o", "refuses HEAD (405)"), False),
        (RangeRefused("o", "refuses ranges (416)"), False),
        (ABSENT, False),
    ],
)
async def test_hidden_failure_is_logged(failure: Failure, *, is_logged: bool) -> None:
    """What another endpoint or another form of the request mends is logged, unless it is usual."""
    structlog.reset_defaults()  # an earlier test may have configured a level
    pool = make_pool(lambda: 0.0)
    with structlog.testing.capture_logs() as lines:
        assert await pool.ask(answer(failure, "yes")[0]) == "yes"
    assert [line["event"] for line in lines] == (["endpoint failed"] if is_logged else [])
