"""Laws of lists that come in pages."""

import json
from collections.abc import AsyncIterator

import pytest

from registry.errors import UpstreamFaulty
from registry.upstream.registry import RegistrySource
from tests.fakes.upstream import FakeUpstream, Fault, Status
from tests.harness.process_parts import open_source

NAME = "library/thing"


@pytest.fixture
async def source(hub: FakeUpstream) -> AsyncIterator[RegistrySource]:
    for tag in ("b", "a", "10", "9"):
        hub.add_image(NAME, tag, [b"layer"])
    async with open_source(hub.url) as source:
        yield source


def script(hub: FakeUpstream, *pages: tuple[object, str]) -> None:
    """Have the next requests for tags answered with these bodies and `Link` headers."""
    for body, link in pages:
        text = body if isinstance(body, str) else json.dumps(body)
        headers = {"Content-Type": "application/json"} | ({"Link": link} if link else {})
        hub.faults.add(Fault("tags", Status(200, text, headers)))


async def test_pages_are_joined(hub: FakeUpstream, source: RegistrySource) -> None:
    """All pages together, in ASCII order, each entry once."""
    more = f'</v2/{NAME}/tags/list?last=x%20y>; rel="next"'
    script(hub, ({"tags": ["c", "a"]}, more), ({"tags": ["b", "a"]}, more), ({"tags": None}, ""))

    assert await source.list_tags(NAME) == ["a", "b", "c"]
    assert hub.journal.count("tags", contains="last=x%20y") == 2


async def test_absolute_links_are_followed(hub: FakeUpstream, source: RegistrySource) -> None:
    """A link may be a whole URL, if it leads to the same registry."""
    script(hub, ({"tags": ["a"]}, f"<{hub.url}/v2/{NAME}/tags/list?last=a>; rel=next"))
    assert await source.list_tags(NAME) == ["a", "b"]


@pytest.mark.parametrize(
    "link",
    [
        "<https://evil.example/v2/x/tags/list>",
        "<//evil.example/v2/x/tags/list>",
        "</elsewhere?last=a>",
        "<http://[>",
        "<http://[::1/v2/>",
        "<../../../../etc/passwd>",
    ],
)
async def test_links_to_elsewhere_are_refused(
    hub: FakeUpstream, source: RegistrySource, link: str
) -> None:
    """A list whose next page is on another host, or at no URL, is a faulty answer."""
    script(hub, ({"tags": ["a"]}, f'{link}; rel="next"'))
    with pytest.raises(UpstreamFaulty, match="continues"):
        await source.list_tags(NAME)


@pytest.mark.parametrize("link", ["", "garbage", '</v2/x>; rel="prev"', "<>", "</v2/x>"])
async def test_other_links_end_the_list(
    hub: FakeUpstream, source: RegistrySource, link: str
) -> None:
    """A page without a link to a next page is the last one."""
    script(hub, ({"tags": ["a"]}, link))
    assert await source.list_tags(NAME) == ["a"]


@pytest.mark.parametrize(
    "body",
    [
        "<html>",
        "",
        "[]",
        "null",
        "{}",
        '{"tags": {}}',
        '{"tags": ""}',
        '{"tags": 0}',
        "[" * 100_000,
    ],
)
async def test_other_bodies_are_faulty(
    hub: FakeUpstream, source: RegistrySource, body: str
) -> None:
    """A page that is no list is a faulty answer, never an empty list."""
    script(hub, (body, ""))
    with pytest.raises(UpstreamFaulty):
        await source.list_tags(NAME)


async def test_entries_that_are_no_tags_are_left_out(
    hub: FakeUpstream, source: RegistrySource
) -> None:
    """Entries that are not text cannot be pulled, so they are left out."""
    script(hub, ({"tags": ["a", 1, None, {"x": "y"}]}, ""))
    assert await source.list_tags(NAME) == ["a"]
