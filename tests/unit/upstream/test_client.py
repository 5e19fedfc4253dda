"""Laws of the client and the token cache: what they send, whom they trust, what they keep."""

import asyncio
from collections.abc import Callable

import httpx
import pytest

from registry.errors import UpstreamError, UpstreamFaulty, UpstreamUnreachable
from registry.settings.upstreams import UpstreamSettings
from registry.upstream import tokens
from registry.upstream.aiohttp_failures import as_httpx
from registry.upstream.auth import Authorization, Login
from registry.upstream.client import open_client, send, target_of, translate_errors, write_request
from registry.upstream.redirects import follow
from registry.upstream.tokens import TokenCache, TokenKey
from registry.upstream.www_authenticate import parse_challenges
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


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://h/a%2Fb%20c?x=a%20b+c&sig=%2f%2F==", b"/a%2Fb%20c?x=a%20b+c&sig=%2f%2F=="),
        ("https://h/a/../b//c", b"/a/../b//c"),
        ("https://h", b"/"),
        ("https://h?x=/y", b"/?x=/y"),
        ("https://h/p?", b"/p?"),
        ("https://h/p#fragment?x", b"/p"),
        ("https://h/p?q=http://other/", b"/p?q=http://other/"),
    ],
)
def test_target_is_byte_exact(url: str, target: bytes) -> None:
    """Path and query are sent byte for byte: a signature covers every byte of them."""
    assert target == target_of(url)


@pytest.mark.parametrize("proxy", ["", "http://127.0.0.1:1", "socks5://127.0.0.1:1"])
@pytest.mark.parametrize("is_bulk", [False, True])
async def test_a_refused_connection_is_told_in_plain_words(proxy: str, *, is_bulk: bool) -> None:
    """The message has the words of the operating system, and no name of a Python class."""
    url = "http://127.0.0.1:1"
    settings = UpstreamSettings(endpoints=(url,), proxy=proxy)
    async with open_client("docker.io", settings) as client:
        request = write_request(client, "GET", f"{url}/v2/", {}, is_bulk=is_bulk)
        with pytest.raises(UpstreamUnreachable) as refused:
            await send(client, request, url)
    words = ("cannot be reached (Connection refused)", "the proxy gives no connection (Connection")
    assert str(refused.value).startswith(tuple(f"{url}: {each}" for each in words))


async def test_a_host_without_an_address_is_told_in_plain_words() -> None:
    """So it is if the name of the host is not known."""
    url = "http://registry.invalid"
    async with open_client("docker.io", UpstreamSettings(endpoints=(url,))) as client:
        with pytest.raises(UpstreamUnreachable, match=r": cannot be reached \([A-Z][a-z ]+"):
            await send(client, write_request(client, "GET", url, {}), url)


@pytest.mark.parametrize("is_bulk", [False, True])
async def test_an_answer_that_is_not_http_is_told_in_plain_words(*, is_bulk: bool) -> None:
    """Neither the name of a class nor the bytes that came are told."""

    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-nothing\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    url = "http://{}:{}".format(*server.sockets[0].getsockname())
    async with server, open_client("docker.io", UpstreamSettings(endpoints=(url,))) as client:
        with pytest.raises(UpstreamUnreachable, match=r": no usable answer \(") as refused:
            await send(client, write_request(client, "GET", url, {}, is_bulk=is_bulk), url)
    assert str(refused.value) == f"{url}: no usable answer (what it sends is not HTTP)"


@pytest.mark.parametrize("is_bulk", [False, True])
async def test_a_body_that_ends_early_is_told_in_plain_words(*, is_bulk: bool) -> None:
    """The libraries name classes; people read how much came."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 894657\r\n\r\n" + bytes(728607))
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    url = "http://{}:{}".format(*server.sockets[0].getsockname())
    async with server, open_client("docker.io", UpstreamSettings(endpoints=(url,))) as client:
        response = await send(client, write_request(client, "GET", url, {}, is_bulk=is_bulk), url)
        with pytest.raises(UpstreamUnreachable) as cut, translate_errors(url):
            async for _ in response.aiter_raw():
                pass
        await response.aclose()
    assert str(cut.value) == f"{url}: the connection broke at 728,607 of 894,657 bytes"


@pytest.mark.parametrize("is_bulk", [False, True])
async def test_a_refusal_of_the_proxy_is_told_in_plain_words(*, is_bulk: bool) -> None:
    """Also for blobs, whose requests another library sends."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 407 Login First\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    proxy, url = "http://{}:{}".format(*server.sockets[0].getsockname()), "https://127.0.0.1:1"
    settings = UpstreamSettings(endpoints=(url,), proxy=proxy)
    async with server, open_client("docker.io", settings) as client:
        with pytest.raises(UpstreamUnreachable) as refused:
            await send(client, write_request(client, "GET", url, {}, is_bulk=is_bulk), url)
    assert str(refused.value) == f"{url}: the proxy gives no connection (407 Login First)"


async def test_a_socks_proxy_that_refuses_a_blob_is_no_crash() -> None:
    """The library of SOCKS has errors of its own, which are of no kind that aiohttp raises."""

    class Refused(Exception):
        """Such an error."""

    with pytest.raises(httpx.ProxyError, match="not allowed by ruleset"), as_httpx((Refused,)):
        raise Refused("Connection not allowed by ruleset")


async def test_tokens_are_bounded(hub: FakeUpstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the cache is full, a new token replaces the one that was used longest ago."""
    monkeypatch.setattr(tokens, "MAX_TOKENS", 2)
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
        challenges = parse_challenges(['Bearer realm="https://127.0.0.1:1/token"'])
        with pytest.raises(UpstreamFaulty, match="private"):
            await login.answer(challenges, "library/thing", Authorization())


async def test_private_registry_has_a_private_realm() -> None:
    """A registry on the LAN may have its token service there; in this test nothing listens."""
    async with httpx.AsyncClient() as client:
        login = Login("https://registry.lan", None, TokenCache(client, CLOCK))
        challenges = parse_challenges(['Bearer realm="https://127.0.0.1:1/token"'])
        with pytest.raises(UpstreamError) as caught:
            await login.answer(challenges, "library/thing", Authorization())
    assert not isinstance(caught.value, UpstreamFaulty)
    await asyncio.sleep(0)


@pytest.mark.parametrize(
    "url",
    [
        *("https://registry.lan/x", "https://r.local/x", "https://r.corp.internal:5000/x"),
        *("https://r.home.arpa/x", "https://registry/x"),
    ],
)
def test_local_names_may_lead_inside(url: str) -> None:
    """A registry with a name of the local network may redirect to an address of that network."""
    assert follow(url, "https://10.0.0.2:9000/x").urls == ("https://10.0.0.2:9000/x",)
