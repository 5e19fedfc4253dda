"""Laws of which failures stop which requests: of a repository, or of the whole endpoint."""

from dataclasses import replace
from functools import partial

import pytest

from registry.errors import BlobUnknown, UpstreamThrottled, UpstreamUnreachable
from registry.upstream.circuit_breaker import (
    FAILURES,
    LONGEST_LIMIT_TIME,
    LONGEST_THROTTLED_TIME,
)
from registry.upstream.contract import Fallback
from registry.upstream.failures import (
    AttemptFailed,
    EndpointSuspended,
    NoConnection,
    TokensThrottled,
)
from registry.upstream.health import MAX_FAILING, EndpointHealth
from registry.upstream.request import Request
from registry.upstream.statuses import Resource

HERE = "https://registry.example"
BROKEN = UpstreamUnreachable(HERE, "answers 503")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        self.now += 0.001  # no two requests begin at the same time
        return self.now


def ask_for(repository: str, path: str = "manifests/1") -> Request:
    missing = partial(BlobUnknown, repository, "it")
    return Request(
        "GET",
        f"{repository}/{path}",
        repository,
        missing,
        Resource.MANIFEST,
        fallback=Fallback.KNOWN,
    )


async def fail(health: EndpointHealth, repository: str, error: UpstreamUnreachable) -> None:
    """Have a request fail, if it is sent at all."""
    request = ask_for(repository)
    try:
        admission = await health.admit(request)
    except EndpointSuspended:
        return
    began = health._clock()
    health.fail(request, error, began, is_probe=bool(admission.probes))
    health.end(admission)


@pytest.fixture
def health() -> EndpointHealth:
    return EndpointHealth(HERE, Clock())


@pytest.mark.parametrize("error", [BROKEN, AttemptFailed(HERE, "answers 500")])
async def test_broken_repository_stops_nobody_else(
    health: EndpointHealth, error: UpstreamUnreachable
) -> None:
    """However often one client asks for what is broken, other repositories are asked for."""
    for _ in range(10 * FAILURES):
        await fail(health, "team/broken", error)

    await health.admit(ask_for("team/well"))
    with pytest.raises(EndpointSuspended):
        await health.admit(ask_for("team/broken"))


async def test_endpoint_is_left_out_for_one_repository(health: EndpointHealth) -> None:
    """Another endpoint is asked first for what this one fails to answer."""
    for _ in range(FAILURES):
        await fail(health, "team/broken", BROKEN)

    now = health._clock()
    assert health.is_suspended(now, counts=False, repository="team/broken")
    assert not health.is_suspended(now, counts=False, repository="team/well")


async def test_several_broken_repositories_stop_all(health: EndpointHealth) -> None:
    """If one repository after the other fails, and none is answered, the endpoint is down."""
    for number in range(FAILURES):
        await fail(health, f"team/n{number}", BROKEN)

    with pytest.raises(EndpointSuspended):
        await health.admit(ask_for("team/well"))


async def test_answers_in_between_show_that_the_endpoint_is_well(health: EndpointHealth) -> None:
    """Two broken repositories beside those that are answered stop nobody else."""
    for _ in range(10 * FAILURES):
        await fail(health, "team/a", BROKEN)
        await fail(health, "team/b", BROKEN)
        health.succeed(ask_for("team/well"))

    await health.admit(ask_for("team/well"))


async def test_no_connection_stops_all(health: EndpointHealth) -> None:
    """Without a connection, no repository can be asked for."""
    for _ in range(FAILURES):
        await fail(health, "team/a", NoConnection(HERE, "cannot be reached"))

    with pytest.raises(EndpointSuspended):
        await health.admit(ask_for("team/b"))


async def test_answer_lets_all_through(health: EndpointHealth) -> None:
    """After one answer, the repository and the endpoint are asked again."""
    for number in range(FAILURES):
        await fail(health, f"team/n{number}", BROKEN)
    health.succeed(ask_for("team/n0"))

    await health.admit(ask_for("team/n0"))
    await health.admit(ask_for("team/n1"))


@pytest.mark.parametrize(
    ("error", "longest"),
    [
        (UpstreamThrottled(HERE, "answers 429", 99_999.0), LONGEST_LIMIT_TIME),
        (UpstreamThrottled("https://cdn.example", "answers 429", 99_999.0), LONGEST_THROTTLED_TIME),
        (TokensThrottled(HERE, "answers 429", 99_999.0), LONGEST_THROTTLED_TIME),
    ],
)
async def test_only_the_pull_limit_stops_for_hours(
    health: EndpointHealth, error: UpstreamThrottled, longest: float
) -> None:
    """The limit of a token service, also on the same host, or of a content host is another one."""
    request = replace(ask_for("team/well"), counts=True)
    health.throttle(request, error)
    with pytest.raises(UpstreamThrottled) as caught:
        await health.admit(request)
    assert caught.value.retry_after == pytest.approx(longest, abs=1.0)
    assert ("pull limit" in caught.value.why) == (longest == LONGEST_LIMIT_TIME)
    assert "429" in caught.value.why or longest == LONGEST_LIMIT_TIME


async def test_failing_repositories_are_bounded(health: EndpointHealth) -> None:
    """Clients may ask for many names."""
    for number in range(MAX_FAILING + 50):
        request = ask_for(f"team/n{number}")
        health.fail(request, BROKEN, health._clock(), is_probe=False)

    assert len(health._repositories) == MAX_FAILING
    assert len(health._failed_in) <= FAILURES
