"""Lists through the pull API: tags and the catalog, page by page to the end."""

import re
from collections.abc import Iterator

import pytest

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream
from tests.harness.mirror import MirrorProcess
from tests.integration.wire import Answer, fetch

TAGS = sorted([f"v1.{number}" for number in range(12)] + ["Latest", "latest", "_x", "0"])


@pytest.fixture
def tagged(shared_hub: FakeUpstream) -> str:
    """A repository with many tags."""
    image = shared_hub.add_image("team/tagged", None, [b"tagged"])
    for tag in TAGS:
        shared_hub.tag("team/tagged", tag, image.digest)
    return "team/tagged"


def walk(mirror: MirrorProcess, path: str) -> Iterator[Answer]:
    """Follow `Link: <...>; rel="next"` to the end; the target is used exactly as given."""
    for _ in range(100):
        answer = fetch(mirror.url + path)
        yield answer
        link = answer.headers["Link"]
        if link is None:
            return
        found = re.fullmatch(r'<(/[^<>]*)>; rel="next"', link)
        assert found is not None, link
        path = found[1]
    raise AssertionError("the pages have no end")


def test_tags_are_listed_in_ascii_order(shared_mirror: MirrorProcess, tagged: str) -> None:
    """Without `n` many tags come at once, sorted by their bytes, under the name that was asked."""
    answer = fetch(f"{shared_mirror.url}/v2/{tagged}/tags/list")

    assert answer.json() == {"name": tagged, "tags": TAGS}
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Link"] is None


@pytest.mark.parametrize("n", [1, 3, len(TAGS) - 1, len(TAGS), 1000])
def test_pages_join_to_the_whole(shared_mirror: MirrorProcess, tagged: str, n: int) -> None:
    """Following Link to the end gives every tag once, in pages of `n`."""
    pages = [each.json()["tags"] for each in walk(shared_mirror, f"/v2/{tagged}/tags/list?n={n}")]

    assert [tag for page in pages for tag in page] == TAGS
    assert [len(page) for page in pages[:-1]] == [n] * (len(pages) - 1)
    assert len(pages) == -(-len(TAGS) // n)


@pytest.mark.parametrize(
    "path",
    [
        "/v2/team/tagged/tags/list?n=5&ns=docker.io",
        "/docker.io/v2/team/tagged/tags/list?n=5",
        "/v2/docker.io/team/tagged/tags/list?n=5",
        "/v2/docker.io/team/tagged/tags/list?ns=docker.io&n=5",
    ],
)
def test_links_keep_the_way_they_were_asked(
    shared_mirror: MirrorProcess, tagged: str, path: str
) -> None:
    """The next page is in the same upstream: prefix and `ns` stay in the Link."""
    answers = list(walk(shared_mirror, path))

    assert [tag for each in answers for tag in each.json()["tags"]] == TAGS
    for answer in answers[:-1]:
        link = answer.headers["Link"]
        assert link.startswith("<" + path.partition("?")[0] + "?")
        assert ("ns=docker.io" in path) is ("ns=docker.io" in link)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("last=v1.8", ["v1.9"]),
        ("last=v1.75", ["v1.8", "v1.9"]),
        ("last=zzz", []),
        ("n=2&last=", TAGS[:2]),
        ("n=2&last=_x", ["latest", "v1.0"]),
        ("n=0", []),
    ],
)
def test_last_need_not_exist(
    shared_mirror: MirrorProcess, tagged: str, query: str, expected: list[str]
) -> None:
    """A page begins behind `last`, whether or not there is such a tag; `n=0` is empty."""
    answer = fetch(f"{shared_mirror.url}/v2/{tagged}/tags/list?{query}")

    assert expected == answer.json()["tags"]
    if query == "n=0":
        assert answer.headers["Link"] is None


@pytest.mark.parametrize("n", ["-1", "x", "1.5", "%2B1", "", "1" * 30, "%D9%A3", "0x10"])
@pytest.mark.parametrize("path", ["/v2/team/tagged/tags/list", "/v2/_catalog"])
def test_a_bad_n_is_400(shared_mirror: MirrorProcess, path: str, n: str) -> None:
    """What is no number is refused by name, whatever list it is for."""
    answer = fetch(f"{shared_mirror.url}{path}?n={n}")

    assert (answer.status, answer.code) == (400, "PAGINATION_NUMBER_INVALID")


def test_an_unknown_repository_has_no_tags(shared_mirror: MirrorProcess) -> None:
    """Tags of an absent repository are 404 NAME_UNKNOWN."""
    answer = fetch(f"{shared_mirror.url}/v2/team/absent/tags/list")

    assert (answer.status, answer.code) == (404, "NAME_UNKNOWN")


def test_tags_outlive_the_upstream(place: str, shared_hub: FakeUpstream) -> None:
    """A list that was requested before is served with a warning when the upstream is down."""
    shared_hub.add_image("team/kept", "1", [b"kept"])
    url = f"{place}/team/kept/tags/list"
    fetch(url)
    shared_hub.stop()

    answer = fetch(url)

    assert (answer.status, answer.json()["tags"]) == (200, ["1"])
    assert answer.origin == "stale"
    assert answer.headers["Warning"].startswith('299 - "')


def test_the_upstreams_pages_are_joined(
    shared_mirror: MirrorProcess, shared_hub: FakeUpstream
) -> None:
    """More tags than one page of the upstream holds are all listed."""
    image = shared_hub.add_image("team/many", None, [b"many"])
    tags = sorted(f"t{number}" for number in range(2345))
    for tag in tags:
        shared_hub.tag("team/many", tag, image.digest)

    answer = fetch(f"{shared_mirror.url}/v2/team/many/tags/list")

    assert tags == answer.json()["tags"]
    assert shared_hub.journal.count("tags", "GET", "team/many") >= 3, shared_hub.journal


def test_a_page_of_tags_has_a_limit(shared_mirror: MirrorProcess, shared_hub: FakeUpstream) -> None:
    """Whatever `n` is, it has 10,000 tags at most; the others come by its Link."""
    image = shared_hub.add_image("team/very-many", None, [b"very many"])
    tags = sorted(f"t{number}" for number in range(10_001))
    for tag in tags:
        shared_hub.tag("team/very-many", tag, image.digest)
    path = "/v2/team/very-many/tags/list"

    pages = [
        [each.json()["tags"] for each in walk(shared_mirror, f"{path}{query}")]
        for query in ("", "?n=999999")
    ]

    assert pages == [[tags[:10_000], tags[10_000:]]] * 2


def test_the_catalog_lists_what_is_kept(make_mirror: MirrorMaker, hub: FakeUpstream) -> None:
    """`_catalog` names, page by page, every repository that something is kept of.

    Each is named as it can be pulled from this mirror.
    """
    names = sorted(f"team/app{number}" for number in range(7))
    for name in names:
        hub.add_image(name, "1", [name.encode()])
    hub.add_image("team/never-pulled", "1", [b"never"])
    mirror = make_mirror(workers=1)
    for name in names:
        assert fetch(f"{mirror.url}/v2/{name}/manifests/1").status == 200

    whole = fetch(f"{mirror.url}/v2/_catalog")
    pages = [each.json()["repositories"] for each in walk(mirror, "/v2/_catalog?n=3")]

    expected = [f"docker.io/{name}" for name in names]
    assert whole.json() == {"repositories": expected}
    assert whole.headers["Content-Type"] == "application/json"
    assert [expected[:3], expected[3:6], expected[6:]] == pages
    assert fetch(f"{mirror.url}/v2/_catalog?n=0").json() == {"repositories": []}
    assert {fetch(f"{mirror.url}/v2/{name}/manifests/1").status for name in expected} == {200}
