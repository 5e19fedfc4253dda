"""Laws of the login at one endpoint: what is remembered of challenges, and who gets a password."""

from collections.abc import AsyncIterator

import pytest

from registry.errors import UpstreamError, UpstreamThrottled
from registry.settings.upstreams import UpstreamSettings
from registry.upstream.credentials import find_credentials
from tests.fakes.upstream import FakeUpstream, Fault, Hang, Status
from tests.unit.upstream.endpoint_bench import LAYER, Bench, open_bench

PORTAL = 'Bearer realm="http://127.0.0.1:1/token",service="portal"'  # nothing listens there


@pytest.fixture
async def bench(hub: FakeUpstream) -> AsyncIterator[Bench]:
    async with open_bench(hub) as opened:
        yield opened


def refuse(bench: Bench, challenge: str, times: int | None = 1) -> None:
    """Have requests for the blob answered with this challenge."""
    bench.break_blobs(Status(401, headers={"WWW-Authenticate": challenge}), times)


async def test_portal_is_forgotten(bench: Bench) -> None:
    """After a challenge that could not be answered, the registry is asked, and its login works."""
    refuse(bench, PORTAL)
    await bench.fail()

    assert await bench.ask() == LAYER


async def test_portal_in_the_middle_is_forgotten(bench: Bench) -> None:
    """A login that has worked is not replaced by one that does not."""
    await bench.ask()
    bench.hub.expire_tokens()
    refuse(bench, PORTAL)
    await bench.fail()
    bench.hub.journal.clear()

    assert await bench.ask() == LAYER
    assert bench.hub.journal.count("token") == 1


async def test_token_service_of_a_portal_is_forgotten(bench: Bench) -> None:
    """A token that the registry does not accept is no reason to remember who gave it."""
    bench.hub.faults.add(Fault("token", Status(200, '{"token": "portal"}')))
    refuse(bench, f'Bearer realm="{bench.hub.realm}",service="portal"', times=2)
    await bench.fail()

    assert await bench.ask() == LAYER


async def test_token_service_that_works_again_is_used(bench: Bench) -> None:
    """When the known token service fails, the next request uses it again."""
    await bench.ask()
    bench.now += 3600
    bench.hub.faults.add(Fault("token", Status(500)))

    error = await bench.fail()
    assert "token service answers 500" in str(error)
    assert await bench.ask() == LAYER


async def test_registry_that_needs_no_login_any_more_is_asked(bench: Bench) -> None:
    """When the token service is gone, and the registry asks for none, the answer counts."""
    await bench.ask()
    bench.now += 3600
    bench.hub.stop("token")
    bench.hub.auth = "none"

    assert await bench.ask() == LAYER


async def test_anonymous_answer_is_not_taken_for_the_truth(bench: Bench) -> None:
    """A 404 to a request without the login that failed does not mean that there is no blob."""
    await bench.ask()
    bench.now += 3600
    bench.hub.stop("token")
    bench.break_blobs(Status(404), times=None)

    assert isinstance(await bench.fail(), UpstreamError)


async def test_failing_token_service_is_asked_once(bench: Bench) -> None:
    """While the token service is down, each request waits for it once only."""
    await bench.ask()
    bench.now += 3600
    bench.hub.journal.clear()
    bench.hub.faults.add(Fault("token", Status(429, headers={"Retry-After": "9"}), times=None))

    error = await bench.fail()

    assert isinstance(error, UpstreamThrottled)
    assert bench.hub.journal.count("token") == 1


async def test_wrong_scope_is_not_remembered(bench: Bench) -> None:
    """A challenge with a scope that the token service refuses is not used for the next request."""
    wrong = f'Bearer realm="{bench.hub.realm}",service="registry.fake",scope="repository:x:pull"'
    refuse(bench, wrong, times=2)
    await bench.fail()

    assert await bench.ask() == LAYER


async def test_ping_of_a_portal_is_forgotten(bench: Bench) -> None:
    """What `/v2/` answered is asked again if it led to no login."""
    bench.hub.challenge_at_ping_only = True
    bench.hub.faults.add(Fault("ping", Status(200)))
    await bench.fail()

    assert await bench.ask() == LAYER


@pytest.mark.parametrize("status", [403, 404])
async def test_failed_login_after_a_ping_is_tried_again(bench: Bench, status: int) -> None:
    """Where only `/v2/` asks for a login, an anonymous answer says nothing until one has worked."""
    bench.hub.challenge_at_ping_only = True
    bench.hub.anonymous_status = status
    bench.hub.faults.add(Fault("token", Status(500)))
    error = await bench.fail()
    assert "token service answers 500" in str(error)

    assert await bench.ask() == LAYER


@pytest.mark.parametrize("status", [403, 404])
async def test_way_that_was_lost_is_found_again(bench: Bench, status: int) -> None:
    """After the token service was down for a moment, an anonymous answer still says nothing."""
    bench.hub.challenge_at_ping_only = True
    bench.hub.anonymous_status = status
    await bench.ask()
    bench.now += 500  # `/v2/` was asked a short time ago
    bench.hub.expire_tokens()
    bench.endpoint._login._tokens._tokens.clear()
    bench.hub.faults.add(Fault("token", Status(500)))
    await bench.fail()

    assert await bench.ask() == LAYER


async def test_registry_that_fails_after_the_login_is_asked_again(bench: Bench) -> None:
    """A login that led to a 500 is not remembered, and the next 404 says nothing either."""
    bench.hub.challenge_at_ping_only = True
    bench.hub.anonymous_status = 404
    bench.hub.faults.add(Fault("blob", Status(404)))
    bench.break_blobs(Status(500))
    await bench.fail()

    assert await bench.ask() == LAYER


async def test_hanging_token_service_ends(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token service that does not answer is given up, also if no client waits any more."""
    monkeypatch.setattr("registry.upstream.tokens.FETCH_BUDGET", 0.1)
    bench.hub.faults.add(Fault("token", Hang()))

    error = await bench.fail()

    assert "no token within" in str(error)
    monkeypatch.undo()  # on a busy machine, a token takes longer than that
    assert await bench.ask() == LAYER


@pytest.mark.parametrize(
    ("url", "may_get_it"),
    [
        ("https://registry.example/v2/", True),
        ("https://registry.example:443/v2/", True),
        ("http://registry.example/token", True),
        ("https://registry.example:8443/token", False),
        ("https://auth.example:5001/token", True),
        ("https://auth.example/token", False),
        ("https://alias.example/token", True),
        ("https://endpoint.example:5443/token", True),
        ("https://endpoint.example/token", False),
        ("https://registry.example.evil/token", False),
    ],
)
def test_password_goes_to_one_port(url: str, *, may_get_it: bool) -> None:
    """Another port of a trusted host may belong to somebody else."""
    settings = UpstreamSettings(
        endpoints=("https://endpoint.example:5443",),
        username="ann",
        aliases=("alias.example",),
        auth_realms=("auth.example:5001",),
    )
    credentials = find_credentials("registry.example", settings)
    assert credentials is not None
    assert credentials.may_be_sent_to(url) == may_get_it
