"""What an upstream says in headers and in small documents; each reader is given bytes."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress

import httpx

from registry.errors import EntrepotError, Unknown
from registry.oci.byte_ranges import parse_content_range
from registry.oci.names import is_tag
from registry.upstream.contract import UpstreamList
from registry.upstream.documents import is_shallow
from registry.upstream.framing import Framing, FramingExcess
from registry.upstream.link_header import find_next_link
from registry.upstream.pagination import Listing, _Pages, _read_values, choose_next
from registry.upstream.rate_limit import read_rate_limit, read_retry_after
from registry.upstream.redirects import follow, is_web_address
from registry.upstream.request import Answer, Request
from registry.upstream.statuses import Resource
from registry.upstream.tokens import LONGEST_LIFE, SHORTEST_LIFE, _read_token
from registry.upstream.via import ViaWriter, make_name
from registry.upstream.www_authenticate import choose_challenge, parse_challenges, read_scope

Look = Callable[[bytes], None]
HERE = "https://registry.example"
OURS = make_name()


@contextmanager
def read_challenges() -> Iterator[Look]:
    """Read how a registry asks for a login."""

    def look(raw: bytes) -> None:
        challenges = parse_challenges(raw.decode("latin-1").split("\n"))
        chosen = choose_challenge(challenges, has_credentials=True)
        if chosen is not None:
            scope = read_scope(chosen)
            assert "\n" not in scope
            assert scope.isascii()
            is_web_address(chosen.parameters.get("realm", ""))

    yield look


@contextmanager
def read_headers() -> Iterator[Look]:
    """Read links, redirects, ranges, limits, `Via` and heads of answers."""
    via = ViaWriter(OURS)

    def look(raw: bytes) -> None:
        text = raw.decode("latin-1")
        link = find_next_link(text.split("\n"))
        query = choose_next(link, [text[:300]], [], "n=1")
        assert query is None or query.isprintable()
        with suppress(EntrepotError):
            choices = follow(HERE, text)
            assert all(is_web_address(url) for url in choices.urls)
        parse_content_range(text)
        headers = {"ratelimit-limit": text, "ratelimit-remaining": text, "retry-after": text}
        read_rate_limit(HERE, "", headers, 0.0)
        read_retry_after(headers)
        with suppress(EntrepotError):
            via.read([text])
        assert via.write().isprintable()
        with suppress(FramingExcess):
            framing = Framing()
            framing.receive(raw[:100])
            framing.receive(raw[100:])

    yield look


@contextmanager
def read_tokens() -> Iterator[Look]:
    """Read the answer of a token service."""

    def look(raw: bytes) -> None:
        with suppress(EntrepotError):
            token, life = _read_token(HERE, raw)
            assert token.isprintable()
            assert SHORTEST_LIFE <= life <= LONGEST_LIFE

    yield look


@contextmanager
def read_lists() -> Iterator[Look]:
    """Read a page of tags, and one of referrers."""
    request = Request("GET", "a/tags/list", "a", Unknown, Resource.TAGS)
    gate = asyncio.Semaphore(1)
    tags = Listing(request, "tags", is_tag, "tags", gate)
    referrers = Listing(request, "manifests", _is_entry, "descriptors", gate)

    def look(raw: bytes) -> None:
        for listing in (tags, referrers):
            with suppress(EntrepotError):
                pages = _Pages(listing)
                page = _read_values(Answer(httpx.Response(200), HERE, HERE), raw, listing)
                pages.add(page)
                choose_next(None, page, [], "n=1")
                assert isinstance(pages.end(), UpstreamList)

    yield look


def _is_entry(value: object) -> bool:
    return isinstance(value, dict) and is_shallow(value)


CHALLENGES = [
    b'Bearer realm="https://auth.example/token",service="s",scope="repository:a/b:pull,push"',
    b'Basic realm="a\\"b", Negotiate abc==',
]
HEADERS = [
    b'</v2/a/tags/list?n=5&last=b>; rel="next"; title="a, b", <c>',
    b"https://cdn.example/x?sig=a%20b",
    b"bytes 0-5/9",
    b"100;w=21600",
    f"1.1 {OURS}, 1.1 proxy (squid)".encode(),
    b"HTTP/1.1 100 Continue\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
]
TOKENS = [b'{"token": "abc.def", "expires_in": 300}', b'{"access_token": "a", "expires_in": 1e3}']
LISTS = [
    b'{"name": "a", "tags": ["1", "2.0", null]}',
    b'{"schemaVersion": 2, "manifests": [{"digest": "sha256:0", "size": 5, "annotations": {}}]}',
]

READERS: dict[str, tuple[Callable[[], AbstractContextManager[Look]], list[bytes]]] = {
    "challenges": (read_challenges, CHALLENGES),
    "headers": (read_headers, HEADERS),
    "pages": (read_lists, LISTS),
    "tokens": (read_tokens, TOKENS),
}
