"""Laws of lists that come in pages."""

import json
from collections.abc import AsyncIterator

import pytest

from registry.errors import UpstreamFaulty
from registry.settings.model import UpstreamSettings
from registry.upstream.client import open_client
from registry.upstream.registry import RegistrySource
from registry.wiring.pulls import build_source
from tests.fakes.upstream import FakeUpstream, Fault, Status

NAME = "library/thing"


@pytest.fixture
async def source(hub: FakeUpstream) -> AsyncIterator[RegistrySource]:
    for tag in ("b", "a", "10", "9"):
        hub.add_image(NAME, tag, [b"layer"])
    settings = UpstreamSettings(endpoints=(hub.url,))
    async with open_client("docker.io", settings) as client:
        yield build_source("docker.io", settings, client, lambda budget: None)


def script(hub: FakeUpstream, *pages: tuple[object, str]) -> None:
    """Let the next requests for tags get these bodies and `Link` headers."""
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
    """A link may be a whole URL, as long as it stays where we are."""
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
async def test_links_stay_at_home(hub: FakeUpstream, source: RegistrySource, link: str) -> None:
    """A list that goes on elsewhere, or nowhere, is the upstream's fault."""
    script(hub, ({"tags": ["a"]}, f'{link}; rel="next"'))
    with pytest.raises(UpstreamFaulty, match="continues"):
        await source.list_tags(NAME)


@pytest.mark.parametrize("link", ["", "garbage", '</v2/x>; rel="prev"', "<>", "</v2/x>"])
async def test_other_links_end_the_list(
    hub: FakeUpstream, source: RegistrySource, link: str
) -> None:
    """Without a link to the next page, this was the last one."""
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
async def test_other_bodies_are_no_lists(
    hub: FakeUpstream, source: RegistrySource, body: str
) -> None:
    """A page that is no list is the upstream's fault, never an empty list."""
    script(hub, (body, ""))
    with pytest.raises(UpstreamFaulty):
        await source.list_tags(NAME)


async def test_entries_that_are_no_tags_are_left_out(
    hub: FakeUpstream, source: RegistrySource
) -> None:
    """What is no text among the tags is nothing a client could pull."""
    script(hub, ({"tags": ["a", 1, None, {"x": "y"}]}, ""))
    assert await source.list_tags(NAME) == ["a"]
