"""The limits of what upstreams send, at their real values: the last that is allowed, and the next.

The numbers are those of docs/security.md. They are written out here, so that a limit that is moved
makes a test fail.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import nullcontext
from typing import Any, cast

import httpx
import pytest

from registry.errors import UpstreamFaulty
from registry.upstream.contract import UpstreamList
from registry.upstream.documents import read_json
from registry.upstream.framing import Framing, FramingExcess
from registry.upstream.link_header import find_next_link
from registry.upstream.pagination import Listing, _Pages
from registry.upstream.tokens import TokenCache, TokenKey
from registry.upstream.www_authenticate import parse_challenges
from tests.fakes.raw_server import RawRequest, RawServer, write_answer
from tests.fakes.upstream import FakeUpstream, Fault, Status
from tests.harness.process_parts import open_source

KIB, MIB = 1024, 1024 * 1024
MINUTE, DAY = 60.0, 86_400.0
RENEWED = 0.8  # of the life of a token: then the next one is fetched
NAME = "library/thing"


@pytest.mark.parametrize(
    ("stated", "life"),
    [
        (None, MINUTE),
        (-1, MINUTE),
        (1, MINUTE),
        (59, MINUTE),
        (61, 61.0),
        (DAY - 1, DAY - 1),
        (DAY + 1, DAY),
        (10**9, DAY),
    ],
)
async def test_life_of_a_token(stated: float | None, life: float) -> None:
    """A token is used for a minute at least and a day at most, whatever its service says."""
    now = 1000.0
    document = {"token": "t"} if stated is None else {"token": "t", "expires_in": stated}

    async def answer(_: RawRequest) -> AsyncIterator[bytes]:
        yield write_answer(json.dumps(document).encode())

    with RawServer(answer) as server:
        async with httpx.AsyncClient() as client:
            cache = TokenCache(client, lambda: now)
            key = TokenKey(f"{server.url}/token", "", "", "")
            await cache.get(key, None)
            now += RENEWED * life - 0.01
            await cache.get(key, None)
            assert len(server.requests) == 1
            now += 0.02
            await cache.get(key, None)
            assert len(server.requests) == 2


async def test_size_of_all_tokens() -> None:
    """They have 4 MiB of each upstream; the one that was used longest ago makes room."""
    token = "t" * (32 * KIB)

    async def answer(_: RawRequest) -> AsyncIterator[bytes]:
        yield write_answer(json.dumps({"token": token}).encode())

    with RawServer(answer) as server:
        keys = [TokenKey(f"{server.url}/token", "", str(number), "") for number in range(128)]
        async with httpx.AsyncClient() as client:
            cache = TokenCache(client, lambda: 1000.0)
            for key in (*keys[:127], *keys[:1]):
                await cache.get(key, None)
            assert len(server.requests) == 127
            await cache.get(keys[127], None)
            for key in (*keys[2:], *keys[:1]):
                await cache.get(key, None)
            assert len(server.requests) == 128
            await cache.get(keys[1], None)
            assert len(server.requests) == 129


@pytest.mark.parametrize(("length", "is_read"), [(8 * KIB, True), (8 * KIB + 1, False)])
def test_length_of_a_challenge(length: int, is_read: bool) -> None:
    """What stands behind 8 KiB is not read."""
    before, after = 'Bearer service="', '",realm="r"'
    header = before + "s" * (length - len(before) - len(after)) + after
    (challenge,) = parse_challenges([header])
    assert ("realm" in challenge.parameters) == is_read


@pytest.mark.parametrize(("length", "is_read"), [(16 * KIB, True), (16 * KIB + 1, False)])
def test_length_of_a_link(length: int, is_read: bool) -> None:
    """What stands behind 16 KiB is not read."""
    url = "u" * (length - len("<>"))
    assert find_next_link([f"<{url}>"]) == (url if is_read else None)


@pytest.mark.parametrize("size", [17, 4096, 256 * KIB])
def test_length_of_a_head(size: int) -> None:
    """256 KiB are read, in whatever pieces they come, and not one byte more."""
    framing = Framing()
    left = 256 * KIB
    while left:
        framing.receive(b"H" * min(size, left))
        left -= min(size, left)
        framing.check(None)
    framing.receive(b"H")
    with pytest.raises(FramingExcess):
        framing.check(None)


@pytest.mark.parametrize("content", [0, 1000, MIB])
def test_bytes_between_chunks(content: int) -> None:
    """64 KiB and a quarter of the content."""
    framing = Framing()
    framing.receive(b"HTTP/1.1 200 OK\r\n\r\n")
    framing.check(0)
    framing.receive(bytes(content + 64 * KIB + content // 4))
    framing.check(content)
    framing.receive(b"x")
    with pytest.raises(FramingExcess):
        framing.check(content)


@pytest.mark.parametrize(("count", "is_read"), [(400_000, True), (400_001, False)])
def test_values_of_a_document(count: int, is_read: bool) -> None:
    """400,000 values with the list that they are in."""
    body = b"[" + b"1," * (count - 1) + b"1]"
    with nullcontext() if is_read else pytest.raises(ValueError, match="400000 values"):
        read_json(body)


async def list_tags(hub: FakeUpstream, page: str) -> UpstreamList:
    hub.faults.add(Fault("tags", Status(200, page, {"Content-Type": "application/json"})))
    async with open_source(hub.url) as source:
        return await source.list_tags(NAME)


@pytest.mark.parametrize("more", [0, 1])
async def test_length_of_a_page(hub: FakeUpstream, more: int) -> None:
    """A page of 4 MiB is read, and a longer one fails."""
    hub.add_image(NAME, "a", [b"layer"])
    before, after = '{"tags": ["a"', "]}"
    page = before + " " * (4 * MIB + more - len(before) - len(after)) + after
    if more:
        with pytest.raises(UpstreamFaulty, match="more than 4194304 bytes"):
            await list_tags(hub, page)
    else:
        assert await list_tags(hub, page) == UpstreamList(["a"])


def make_pages(asked: int = 0, size: int = 0) -> _Pages:
    listing = Listing(cast("Any", None), "tags", lambda _: True, "tags", asyncio.Semaphore())
    return _Pages(listing, asked=[""] * asked, size=size)


@pytest.mark.parametrize(("what", "limit"), [("asked", 1000), ("size", 16 * MIB)])
def test_length_of_a_list(what: str, limit: int) -> None:
    """1,000 pages and 16 MiB; `test_long_list_is_cut` shows what happens then."""
    assert not make_pages(**{what: limit}).is_too_long()
    assert make_pages(**{what: limit + 1}).is_too_long()


def test_entries_of_a_list() -> None:
    """250,000 tags are kept."""
    pages = make_pages()
    pages.add([str(number) for number in range(250_000)])
    assert not pages.is_too_long()
    pages.add(["one more"])
    assert pages.is_too_long()
    assert len(pages.entries) == 250_000
