"""Laws of the client and the token cache: whom they trust, and what they keep."""

import asyncio
from collections.abc import Callable

import httpx
import pytest

from registry.errors import UpstreamError, UpstreamFaulty
from registry.settings.model import UpstreamSettings
from registry.upstream import auth
from registry.upstream.auth import Login, TokenCache, TokenKey
from registry.upstream.circuit_breaker import FAILURES, FIRST_REST, TRIAL, CircuitBreaker
from registry.upstream.client import open_client
from registry.upstream.redirects import follow
from tests.fakes.upstream import FakeUpstream, Fault, Status

NOW = 1000.0
CLOCK: Callable[[], float] = lambda: NOW  # noqa: E731


async def test_environment_names_no_proxy(
    hub: FakeUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a proxy in the settings requests go directly."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with open_client("docker.io", UpstreamSettings(endpoints=(hub.url,))) as client:
        assert (await client.get(f"{hub.url}/v2/")).status_code == 401


async def test_cookies_are_not_kept(hub: FakeUpstream) -> None:
    """A cookie of an upstream is never sent back."""
    hub.faults.add(Fault("any", Status(200, headers={"Set-Cookie": "a=b; Path=/"})))
    async with open_client("docker.io", UpstreamSettings(endpoints=(hub.url,))) as client:
        await client.get(f"{hub.url}/v2/")
        await client.get(f"{hub.url}/v2/")
    assert ["Cookie" in entry.headers for entry in hub.journal] == [False, False]


async def test_tokens_are_bounded(hub: FakeUpstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """The token used longest ago makes room for a new one."""
    monkeypatch.setattr(auth, "MAX_TOKENS", 2)
    keys = [TokenKey(hub.realm, "s", f"repository:{name}:pull", "") for name in "abc"]
    async with httpx.AsyncClient() as client:
        cache = TokenCache(client, CLOCK)
        for key in (keys[0], keys[1], keys[0], keys[2]):
            await cache.get(key, None)
        asked = hub.journal.count("token")
        await cache.get(keys[0], None)
        await cache.get(keys[2], None)
        assert asked == hub.journal.count("token") == 3
        await cache.get(keys[1], None)
    assert hub.journal.count("token") == 4


async def test_public_registry_has_no_private_realm() -> None:
    """A public registry cannot send us to an address of our own network for a token."""
    async with httpx.AsyncClient() as client:
        login = Login("https://registry.example", None, TokenCache(client, CLOCK))
        challenge = 'Bearer realm="https://127.0.0.1:1/token"'
        with pytest.raises(UpstreamFaulty, match="private"):
            await login.answer([challenge], "s", None)


async def test_private_registry_has_a_private_realm() -> None:
    """A registry on the LAN may have its token service there; here nobody listens."""
    async with httpx.AsyncClient() as client:
        login = Login("https://registry.lan", None, TokenCache(client, CLOCK))
        challenge = 'Bearer realm="https://127.0.0.1:1/token"'
        with pytest.raises(UpstreamError) as caught:
            await login.answer([challenge], "s", None)
    assert not isinstance(caught.value, UpstreamFaulty)
    await asyncio.sleep(0)


@pytest.mark.parametrize(
    "url",
    [
        *("https://registry.lan/x", "https://r.local/x", "https://r.corp.internal:5000/x"),
        *("https://r.home.arpa/x", "https://registry/x", "http://registry.example/x"),
    ],
)
def test_local_names_may_lead_inside(url: str) -> None:
    """A registry that is of the own network by its name may have its storage there too."""
    assert follow(url, "https://10.0.0.2:9000/x") == "https://10.0.0.2:9000/x"


def test_simultaneous_failures_count_once_the_breaker_is_open() -> None:
    """Those under way when the breaker opened do not make the rest longer."""
    health = CircuitBreaker()
    for number in range(8):
        health = health.fail(NOW + number / 100, NOW - 1)
    assert health.failures == FAILURES
    assert health.rests_until == NOW + 0.02 + FIRST_REST


def test_withdrawn_trial_leaves_room_for_the_next() -> None:
    """A trial without a verdict is over when it ends, not when its time is."""
    later = NOW + FIRST_REST
    health = CircuitBreaker()
    for _ in range(FAILURES):
        health = health.fail(NOW, NOW)
    tried = health.admit(later)
    assert tried.is_on_trial(later + TRIAL - 0.1)
    assert not tried.withdraw().rests(later)
