"""Laws of lists that come in pages."""

import json
import time
from collections.abc import AsyncIterator

import pytest

from registry.errors import UpstreamFaulty
from registry.upstream import pagination
from registry.upstream.contract import UpstreamList
from registry.upstream.link_header import find_next_link
from registry.upstream.pagination import PAGE, choose_next
from registry.upstream.registry import RegistrySource
from tests.fakes.upstream import FakeUpstream, Fault, Status
from tests.harness.process_parts import open_source

NAME = "library/thing"
FIRST = f"n={PAGE}"


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


@pytest.mark.parametrize(
    ("header", "url"),
    [
        ('</v2/x?last=a>; rel="next"', "/v2/x?last=a"),
        ("</v2/x?last=a>; rel=next", "/v2/x?last=a"),
        ('</v2/x?last=a>; REL="Next"', "/v2/x?last=a"),
        ('</v2/x?last=a>;title="a, b";rel="next last"', "/v2/x?last=a"),
        ("</v2/x?last=a>; rel = next ; n", "/v2/x?last=a"),
        ('</first>; rel="first", </x?last=a>; rel="next"', "/x?last=a"),
        ("</v2/x?last=a,b>", "/v2/x?last=a,b"),
        ("</v2/x?last=a>; title=more", "/v2/x?last=a"),
        ('</v2/x?last=a>; rel="prev"', None),
        ('</v2/x?last=a>; rel="nextish"', None),
        ("garbage", None),
        ("", None),
        ("<>", ""),
    ],
)
def test_link_to_the_next_page_is_read(header: str, url: str | None) -> None:
    """Names and values of `rel` may be in any case; a link without `rel` is the next page."""
    assert url == find_next_link([header])


PIECES = ["<", ">", ";", ",", "=", '"', " ", "a", "rel", "<>", "<>;a", ";rel=", '<>;a="', "\\"]


@pytest.mark.parametrize("first", PIECES)
def test_links_are_read_quickly(first: str) -> None:
    """A header of 60 KB is read in time that does not grow with the square of its length."""
    began = time.process_time()
    for second in PIECES:
        for pattern in (first + second, first):
            find_next_link([pattern * (60_000 // len(pattern)) + second])
            find_next_link(["<>;a" + pattern * (60_000 // len(pattern)) + second])
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    ("link", "query"),
    [
        ("/v2/library/thing/tags/list?n=2&last=a", "n=2&last=a"),
        ("https://other.example/repository/hub/v2/x/tags/list?last=a&n=2", "last=a&n=2"),
        ("?next_page=gAAA%3D%3D&n=50", "next_page=gAAA%3D%3D&n=50"),
        ("/v2/x/tags/list?last=1000&n=1000", "last=1000&n=1000"),
        ("/v2/x/tags/list", f"{FIRST}&last=b%2Bc"),
        ("http://[", f"{FIRST}&last=b%2Bc"),
        ("/v2/x?last=a b", f"{FIRST}&last=b%2Bc"),
        ("/v2/x?last=\u00e4", f"{FIRST}&last=b%2Bc"),
        (f"/v2/x?{FIRST}", f"{FIRST}&last=b%2Bc"),
        ("/v2/x?" + "a" * 5000, f"{FIRST}&last=b%2Bc"),
    ],
)
def test_only_the_query_of_a_link_is_used(link: str, query: str) -> None:
    """The host and the path are ours; a link of no use is replaced by the last tag."""
    assert query == choose_next(link, ["a", "b+c"], [FIRST], FIRST)


@pytest.mark.parametrize(
    ("count", "is_asked"), [(0, False), (7, False), (50, True), (100, True), (1000, True)]
)
def test_page_of_a_round_number_may_be_cut(count: int, is_asked: bool) -> None:
    """Without a link, the rest is asked for if a registry may have cut the list there."""
    page = [f"t{number:04}" for number in range(count)]
    query = choose_next(None, page, [FIRST], FIRST)
    assert query == (f"{FIRST}&last={page[-1]}" if is_asked else None)


@pytest.mark.parametrize("link", [None, "/v2/x", "/v2/x?a=b"])
def test_referrers_have_no_last_entry(link: str | None) -> None:
    """Only tags can be asked for by the tag before them."""
    page = [{"digest": "d"}] * 100
    query = choose_next(link, page, [""], None)
    assert query == ("a=b" if link == "/v2/x?a=b" else None)


async def test_pages_are_joined(hub: FakeUpstream, source: RegistrySource) -> None:
    """All pages together, in ASCII order, each entry once."""
    pages = [f'</v2/{NAME}/tags/list?last={each}>; rel="next"' for each in ("x%20y", "z")]
    script(
        hub,
        ({"tags": ["c", "a"]}, pages[0]),
        ({"tags": ["b", "a"]}, pages[1]),
        ({"tags": None}, ""),
    )

    assert await source.list_tags(NAME) == UpstreamList(["a", "b", "c"])
    assert hub.journal.count("tags", contains="last=x%20y") == 1


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/v2/x/tags/list?last=a",
        "//evil.example/v2/x/tags/list?last=a",
        "/elsewhere?last=a",
        "../../../../etc/passwd?last=a",
        "http://[::1/v2/?last=a",
        "https://evil.example/v2/x/tags/list",
    ],
)
async def test_no_link_leads_elsewhere(
    hub: FakeUpstream, source: RegistrySource, link: str
) -> None:
    """Whatever host and path a link names, the next page is asked for at the same repository."""
    script(hub, ({"tags": ["a"]}, f'<{link}>; rel="next"'))

    assert await source.list_tags(NAME) == UpstreamList(["a", "b"])
    assert {entry.path for entry in hub.journal.of("tags")} == {f"/v2/{NAME}/tags/list"}


@pytest.mark.parametrize("link", ["", "garbage", '</v2/x?last=9>; rel="prev"'])
async def test_other_links_end_the_list(
    hub: FakeUpstream, source: RegistrySource, link: str
) -> None:
    """A page without a link to a next page is the last one."""
    script(hub, ({"tags": ["a"]}, link))
    assert await source.list_tags(NAME) == UpstreamList(["a"])


async def test_link_to_the_same_page_is_told(hub: FakeUpstream, source: RegistrySource) -> None:
    """A registry that names the same page again and again is not asked again and again."""
    link = f'</v2/{NAME}/tags/list?n=1000>; rel="next"'
    page = Status(200, '{"tags": ["x"]}', {"Content-Type": "application/json", "Link": link})
    hub.faults.add(Fault("tags", page, times=None))

    found = await source.list_tags(NAME)

    assert found.entries == ["x"]
    assert "repeats a page" in found.warning
    assert hub.journal.count("tags") < 6, hub.journal


async def test_list_that_takes_too_long_is_cut_with_a_warning(
    hub: FakeUpstream, source: RegistrySource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clients wait for a limited time: they get what was read by then, and a warning."""
    monkeypatch.setattr(pagination, "LONGEST", -1.0)
    hub.page_limit = 2

    found = await source.list_tags(NAME)

    assert found.entries == ["10", "9"]
    assert "longer" in found.warning


@pytest.mark.parametrize("count", [50, 1000, 2000])
async def test_list_without_pages_is_whole(
    hub: FakeUpstream, source: RegistrySource, count: int
) -> None:
    """A registry that ignores `n` and `last` sends the whole list each time (distribution 2)."""
    hub.link_style, hub.ignores_n, hub.ignores_last = "none", True, True
    tags = [f"t{number:04}" for number in range(count)]
    for tag in tags:
        hub.tag("library/many", tag, "sha256:0")

    assert await source.list_tags("library/many") == UpstreamList(tags)


async def test_refused_rest_is_told(hub: FakeUpstream, source: RegistrySource) -> None:
    """A registry that refuses the next page has more tags than are listed."""
    hub.auth, hub.page_limit = "none", 2
    hub.faults.add(Fault("tags", Status(400), skip=1, times=None))

    found = await source.list_tags(NAME)

    assert found.entries == ["10", "9"]
    assert "refuses" in found.warning


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
    """Entries that are no tags cannot be pulled, so they are left out, with a warning."""
    wrong = [1, None, {"x": "y"}, "a b", "a\r\nX: y", "\ud800", "a" * 129, "-a", ""]
    script(hub, ({"tags": ["a", *wrong]}, ""))
    warning = f"{len(wrong)} entries that are no tags are left out"
    assert await source.list_tags(NAME) == UpstreamList(["a"], warning)
