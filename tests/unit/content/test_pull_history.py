"""Laws of the pull history: images by the names that clients used, kept for a limited time."""

import ipaddress
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from registry.catalog.pulls import Pull
from registry.content.pull_history import KEPT_FOR, ClientPattern, PulledImage
from registry.errors import ClientInvalid
from registry.oci.image_patterns import ImagePattern
from registry.oci.names import Reference, Repository, Tag
from registry.oci.registries import Registries
from tests.unit.content.content_site import (
    HERE,
    THERE,
    Image,
    Site,
    make_image,
    make_index,
    open_site,
)

AMD, ARM, OTHER = (make_image(name) for name in (b"amd", b"arm", b"other"))
INDEX, NEXT = make_index(AMD, ARM), make_index(AMD, OTHER)
SIGNATURE = make_image(b"signature", subject=INDEX)
ALICE, BOB = "10.1.0.1", "10.2.0.2"
NOW = 1000.0  # of the site's clock


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(tmp_path) as site:
        for repository in (HERE, THERE):
            for image in (AMD, ARM, OTHER, INDEX, NEXT, SIGNATURE):
                await site.pull(repository, image)
        yield site


async def pull(site: Site, image: Image, *names: Reference, client: str = ALICE) -> None:
    """Note pulls at the current time."""
    names = names or (image.digest,)
    await site.pulls.record([Pull(HERE, name, image.digest, client, site.now) for name in names])


async def list_names(
    site: Site, period: float = 100.0, *clients: str, images: str = ""
) -> set[str]:
    patterns = [ImagePattern.parse(images, Registries("docker.io"))] if images else []
    meant = [ClientPattern.parse(each) for each in clients]
    found = await site.content.pull_history.list_pulled(period, meant, patterns)
    return {str(each.reference) for each in found}


async def test_a_pull_by_tag_comes_back_as_that_tag(site: Site) -> None:
    """Manifests and signatures that a client pulls after a tag are not listed."""
    await pull(site, INDEX, Tag("1"), INDEX.digest)
    await pull(site, AMD)
    await pull(site, SIGNATURE)
    await pull(site, SIGNATURE, Tag(f"sha256-{INDEX.digest.encoded}.sig"))
    assert await list_names(site) == {"1"}


async def test_a_tag_that_moved_is_one_image(site: Site) -> None:
    """A tag that moved is listed once, with its last pull."""
    await pull(site, INDEX, Tag("1"), INDEX.digest)
    site.now += 10
    await pull(site, NEXT, Tag("1"), NEXT.digest, client=BOB)
    found = await site.content.pull_history.list_pulled(100.0)
    assert found == [PulledImage(HERE, Tag("1"), (ALICE, BOB), NOW + 10)]


async def test_a_pull_by_digest_comes_back_by_digest(site: Site) -> None:
    """If no tag led there, the digest is listed, also of a manifest of an index."""
    await pull(site, ARM)
    await pull(site, OTHER, Tag("2"), client=BOB)
    assert await list_names(site) == {str(ARM.digest), "2"}


async def test_time_of_a_narrow_link(site: Site) -> None:
    """Only pulls within the period are listed, the latest first."""
    await pull(site, AMD, Tag("old"))
    site.now += 50
    await pull(site, ARM, Tag("new"))
    await pull(site, ARM, Tag("late"))
    assert await list_names(site, 49.0) == {"new", "late"}
    assert await list_names(site, 50.0) == {"new", "late", "old"}
    assert (await site.content.pull_history.list_pulled(50.0))[-1].reference == Tag("old")


@pytest.mark.parametrize(
    ("clients", "names"),
    [
        (("10.1.0.1",), {"a"}),
        (("10.1.*",), {"a"}),
        (("10.0.0.0/8",), {"a", "b", "d"}),
        (("10.2.0.0/16", "fe80::/16"), {"b", "c", "d"}),
        (("10.2.0.3",), {"d"}),
        (("192.168.*",), set()),
        (("*",), {"a", "b", "c", "d"}),
    ],
)
async def test_clients_narrow(site: Site, clients: tuple[str, ...], names: set[str]) -> None:
    """Addresses, networks and globs select pulls; a pull without an address never matches."""
    for name, client in (("a", ALICE), ("b", BOB), ("c", "fe80::1"), ("d", "::ffff:10.2.0.3")):
        await pull(site, AMD, Tag(name), client=client)
    await pull(site, AMD, Tag("nobody"), client="")
    assert await list_names(site, 100.0, *clients) == names


async def test_images_narrow(site: Site) -> None:
    """A glob, a repository or a name selects images."""
    await pull(site, AMD, Tag("1.0"))
    await pull(site, ARM, Tag("2.0"))
    await site.pulls.record([Pull(THERE, Tag("3.0"), AMD.digest, ALICE, site.now)])
    assert await list_names(site, images="docker.io/library/*") == {"1.0", "2.0"}
    assert await list_names(site, images="a:1.*") == {"1.0"}
    assert await list_names(site, images="ghcr.io/team/a") == {"3.0"}
    assert await list_names(site, images=f"a@{ARM.digest}") == {"2.0"}


async def test_it_is_forgotten_in_time(site: Site) -> None:
    """Of pulls more than 400 days ago only the time stays; of deleted images nothing."""
    await pull(site, AMD, Tag("old"))
    site.now += KEPT_FOR + 1
    await pull(site, ARM, Tag("new"))
    gone = Repository("docker.io", "library/gone")
    await site.pulls.record([Pull(gone, Tag("1"), AMD.digest, ALICE, site.now)])

    await site.content.pull_history.forget()

    rows = site.database.read("SELECT reference, client FROM pulls ORDER BY pulled")
    assert rows == [("", ""), ("new", ALICE)]
    assert await list_names(site, 10 * KEPT_FOR) == {"new"}


@pytest.mark.parametrize("text", ["", "alice", "10.1", "10.1.0.0/40", "fe80::/200"])
def test_no_client_is_refused(text: str) -> None:
    """A pattern that no address can match is an error that says what to write."""
    with pytest.raises(ClientInvalid, match="a glob such as"):
        ClientPattern.parse(text)


def test_a_network_may_be_written_by_one_of_it() -> None:
    """The bits of a network's address after the prefix may be set."""
    assert ClientPattern.parse("10.1.2.3/16").network == ipaddress.ip_network("10.1.0.0/16")


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("10.1.2.0/24", True),
        ("10.1.0.0/16", True),
        ("10.1.*", True),
        ("10.1.2.7", False),
        ("10.1.2.0/25", False),
        ("10.2.0.0/16", False),
        ("fd00::/8", False),
    ],
)
def test_a_network_that_was_kept_matches_those_around_it(pattern: str, matches: bool) -> None:
    """If `access.addresses` says so, no more is known of a client."""
    assert matches is ClientPattern.parse(pattern).matches("10.1.2.0/24")
