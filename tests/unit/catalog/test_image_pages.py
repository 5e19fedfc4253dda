"""Laws of images by pages: each once, in order, with what is stored of it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from registry.catalog.database import Database
from registry.catalog.image_groups import ImageGroupCatalog
from registry.catalog.image_pages import ImageFilter, ImagePageCatalog
from registry.catalog.pull_clients import PullClientCatalog
from registry.oci.digest import Digest
from tests.unit.content.content_site import HERE, THERE, Site, make_image, make_index, open_site

AMD, ARM = make_image(b"amd-config", b"shared", b"amd"), make_image(b"arm-config", b"shared")
INDEX = make_index(AMD, ARM)
ALL = ImageFilter()
START = ("", "")


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(tmp_path) as site:
        yield site


async def list_all(site: Site, wanted: ImageFilter = ALL, most: int = 2) -> list[str]:
    """Read page by page, as a browser does."""
    pages = ImagePageCatalog(site.database)
    names: list[str] = []
    after = START
    while True:
        page = await pages.read_page(wanted, after, most)
        names += [row.name for row, _ in page]
        if len(page) < most:
            return names
        after = (page[-1][0].repository, page[-1][0].reference)


async def test_pages_have_the_images_that_the_graph_has(site: Site) -> None:
    """Tags and digests without a tag, each once and in order, whatever the size of a page."""
    for tag in ("1", "2", "3"):
        await site.pull(HERE, AMD, tag)
    await site.pull(HERE, ARM, "moving")
    await site.pull(HERE, AMD, "moving")
    await site.pull(THERE, INDEX, "multi")
    expected = [image.name for image in (await site.images.load()).images]

    assert len(expected) == 6
    for most in (1, 2, 3, 50):
        assert sorted(expected) == sorted(await list_all(site, most=most)), most
    everything = await ImagePageCatalog(site.database).list_ordered(ALL)
    assert sorted(expected) == sorted(row.name for row in everything)


async def test_a_filter_finds_parts_of_names(site: Site) -> None:
    """Capital letters do not matter, and a registry is its whole name."""
    await site.pull(HERE, AMD, "v1-RC")
    await site.pull(THERE, AMD, "v1-rc")

    assert len(await list_all(site, ImageFilter("V1-rc"))) == 2
    assert await list_all(site, ImageFilter("absent")) == []
    assert await list_all(site, ImageFilter(registry=HERE.registry[:-1])) == []
    assert await list_all(site, ImageFilter(is_pinned=True)) == []


async def test_what_is_stored_of_an_image(site: Site) -> None:
    """A shared blob counts once, and a platform is whole with its manifest and all blobs."""
    await site.pull(HERE, AMD, "1")
    pages = ImagePageCatalog(site.database)
    digests = [AMD.digest, *map(Digest.of, AMD.blobs)]
    size = sum((await pages.list_stored(map(str, digests))).values())
    part = (await pages.measure([str(AMD.digest)]))[str(AMD.digest)]

    assert (size, 1, 1) == (part.size, part.manifests, part.whole)
    groups = ImageGroupCatalog(site.database)
    assert size == (await groups.list_sizes())[str(AMD.digest)]


async def test_an_image_is_found_by_its_exact_name(site: Site) -> None:
    """By tag and by digest; another name finds nothing."""
    await site.pull(HERE, AMD, "1")
    pages = ImagePageCatalog(site.database)
    by_tag = await pages.find(str(HERE), "1")
    by_digest = await pages.find(str(HERE), str(AMD.digest))

    assert by_tag is not None
    assert by_digest is not None
    assert by_tag.digest == by_digest.digest == str(AMD.digest)
    assert await pages.find(str(HERE), "2") is None
    assert await pages.find(str(THERE), "1") is None


async def test_clients_come_in_pages_the_latest_first(database_with_pulls: Database) -> None:
    """Each client once, with the tag that it has pulled last and not a digest below it."""
    clients = PullClientCatalog(database_with_pulls)
    first = await clients.read_page("", (float("inf"), ""), 2)
    second = await clients.read_page("", (first[-1].pulled, first[-1].client), 2)

    assert [row.client for row in first] == ["10.0.0.3", "10.0.0.2"]
    assert [row.client for row in second] == ["10.0.0.1"]
    assert (second[0].reference, second[0].names) == ("latest", 2)
    found = await clients.read_page("0.2", (float("inf"), ""), 2)
    assert [row.client for row in found] == ["10.0.0.2"]
    assert await clients.count_since(150.0) == 2


@pytest.fixture
async def database_with_pulls(tmp_path: Path) -> AsyncIterator[Database]:
    async with Database(tmp_path / "catalog.db") as database:
        rows = [
            ("sha256:1", "docker.io/a", "1", "10.0.0.1", 50.0),
            ("sha256:1", "docker.io/a", "latest", "10.0.0.1", 100.0),
            ("sha256:2", "docker.io/a", "sha256:2", "10.0.0.1", 101.0),
            ("sha256:1", "docker.io/a", "1", "10.0.0.2", 200.0),
            ("sha256:1", "docker.io/a", "1", "10.0.0.3", 300.0),
            ("sha256:1", "docker.io/a", "", "", 400.0),
        ]
        query = "INSERT INTO pulls VALUES (?, ?, ?, ?, ?)"
        await database.write(lambda held: held.executemany(query, rows))
        yield database
