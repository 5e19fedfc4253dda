"""Laws of errors of several endpoints: they name what each endpoint answered."""

import re
from functools import partial

import pytest

from registry.errors import (
    BlobUnknown,
    ManifestUnknown,
    UpstreamDenied,
    UpstreamThrottled,
    UpstreamUnreachable,
)
from registry.upstream.circuit_breaker import FAILURES
from registry.upstream.combined_failures import PARTLY
from registry.upstream.endpoint import Endpoint
from registry.upstream.failover import combine
from registry.upstream.failures import EndpointSuspended, HeadRefused, NoConnection
from registry.upstream.request import Request
from registry.upstream.statuses import Resource
from tests.unit.upstream.test_failover import Failure, make_pool


def missing(origin: str) -> ManifestUnknown:
    error = ManifestUnknown("docker.io/team/app", "1")
    error.endpoint = origin
    return error


def refused(origin: str) -> HeadRefused:
    error = HeadRefused(origin, "refuses HEAD (404)")
    error.is_missing = True
    return error


A, B = "https://first.example", "https://second.example"
DEAD = "cannot be reached (Connection refused)"
CLOSED = "refuses access to anonymous clients (401): private, or it does not exist"


@pytest.mark.parametrize(
    ("failures", "message"),
    [
        ([NoConnection(A, DEAD), missing(B)], f"{A}: {DEAD}; {B}: does not have it"),
        ([missing(A), NoConnection(B, DEAD)], f"{A}: does not have it; {B}: {DEAD}"),
        ([NoConnection(A, DEAD), UpstreamDenied(B, CLOSED)], f"{A}: {DEAD}; {B}: {CLOSED}"),
        ([missing(A), UpstreamDenied(B, CLOSED)], f"{A}: does not have it; {B}: {CLOSED}"),
        (
            [UpstreamDenied(A, CLOSED), missing(B)],
            f"no manifest 1 in docker.io/team/app ({A}: {CLOSED}; {B}: does not have it)",
        ),
        ([missing(A), missing(B)], "no manifest 1 in docker.io/team/app"),
    ],
)
def test_every_answer_is_named(failures: list[Failure], message: str) -> None:
    """The operator reads what each endpoint answered, and clients read no endpoint."""
    failure = combine(failures)
    assert str(failure) == message
    assert "example" not in failure.public


@pytest.mark.parametrize(
    ("failures", "answers", "public"),
    [
        ([NoConnection(A, DEAD), missing(B)], [], PARTLY),
        ([NoConnection(A, DEAD)], [missing(B)], PARTLY),
        ([NoConnection(A, DEAD), NoConnection(B, DEAD)], [], "does not answer, or not in time"),
        ([UpstreamThrottled(A, "answers 429"), missing(B)], [], "answers 429: too many requests"),
    ],
)
def test_clients_learn_that_some_endpoints_have_answered(
    failures: list[Failure], answers: list[Failure], public: str
) -> None:
    """A tag that none of them has may still be at those that were not reached."""
    assert combine(failures, answers).public == f"the upstream {public}"


def test_an_endpoint_that_is_not_asked_again_yet_is_named() -> None:
    """Nobody shall read "no such manifest" alone, while the registry itself is not reached."""
    text = f"failed recently ({DEAD}); it is not asked again yet"
    failure = combine([missing(B)], [EndpointSuspended(A, text)])
    told = f"no manifest 1 in docker.io/team/app ({A}: {text}; {B}: does not have it)"
    assert (str(failure), failure.public) == (told, "no manifest 1 in docker.io/team/app")


def test_the_failure_behind_a_refused_head_names_every_answer() -> None:
    """It is raised in the end, if no GET helps."""
    refusal = combine([NoConnection(A, DEAD), refused(B)])
    assert isinstance(refusal, HeadRefused)
    assert str(refusal.unanswered) == f"{A}: {DEAD}; {B}: does not have it"


async def test_answers_of_earlier_rounds_are_named() -> None:
    """An endpoint may be left out of the last round, because it failed in those before."""
    pool = make_pool(lambda: 0.0)
    first, second = pool.candidates()
    request = Request("GET", "r/manifests/1", "r", partial(BlobUnknown, "r", "d"), Resource.BLOB)

    async def ask(endpoint: Endpoint) -> str:
        if endpoint is first:
            raise UpstreamUnreachable(A, "answers 503")
        for _ in range(FAILURES):
            endpoint.health.fail(request, NoConnection(B, DEAD), 0.0, is_probe=False)
        raise NoConnection(B, DEAD)

    message = f"{A}: answers 503; {B}: {DEAD}"
    with pytest.raises(UpstreamUnreachable, match=re.escape(message)):
        await pool.ask(ask)
    assert pool.candidates() == [first]

    message = f"{A}: answers 503; {B}: failed recently ({DEAD}); it is not asked again yet"
    with pytest.raises(UpstreamUnreachable, match=re.escape(message)):
        await pool.ask(ask)
    assert second.health.find_suspension() is not None
