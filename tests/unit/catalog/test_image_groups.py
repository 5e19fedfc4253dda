"""Laws of repositories by pages, and of several images together."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from registry.catalog.database import Database
from registry.catalog.image_groups import GroupRow, ImageGroupCatalog
from registry.catalog.image_pages import ImageFilter, ImagePageCatalog
from registry.catalog.pulls import Pull, PullCatalog
from registry.oci.names import Repository, Tag
from tests.unit.content.content_site import Site, make_image, open_site

ONE, TWO = make_image(b"one-config", b"shared", b"one"), make_image(b"two-config", b"shared")
APP, APP_2, TOOL = (
    Repository("docker.io", "team/app"),
    Repository("docker.io", "team/app-2"),
    Repository("quay.io", "team/tool"),
)
ALL = ImageFilter()


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(tmp_path) as site:
        await site.pull(APP, ONE, "1", "2")
        await site.pull(APP_2, TWO, "1")
        await site.pull(TOOL, TWO)
        yield site


async def list_names(database: Database, wanted: ImageFilter = ALL, most: int = 50) -> list[str]:
    """Read page by page, as a browser does."""
    groups = ImageGroupCatalog(database)
    names: list[str] = []
    while True:
        page = await groups.read_page(wanted, names[-1] if names else "", most)
        names += [row.repository for row in page]
        if len(page) < most:
            return names


async def test_each_repository_is_one_row(site: Site) -> None:
    """Also one that has no tag, whatever the size of a page."""
    expected = [str(APP), str(APP_2), str(TOOL)]

    for most in (1, 2, 50):
        assert expected == await list_names(site.database, most=most), most
    assert expected[:2] == await list_names(site.database, ImageFilter("APP"))
    assert expected[2:] == await list_names(site.database, ImageFilter(registry="quay.io"))
    assert await list_names(site.database, ImageFilter(is_pinned=True)) == []


async def test_a_row_says_what_is_in_the_repository(site: Site) -> None:
    """The number of tags and pins, and when anybody last pulled any of its images."""
    await site.pin(APP, Tag("1"))
    pulled = Pull(APP, Tag("2"), ONE.digest, "10.0.0.1", 1234.0)
    await PullCatalog(site.database).record([pulled])

    rows = await ImageGroupCatalog(site.database).read_page(ImageFilter(is_pinned=True), "", 50)
    assert [GroupRow(str(APP), tags=2, pinned=1, pulled=1234.0)] == rows


async def test_a_repository_is_not_one_whose_name_begins_so(site: Site) -> None:
    """The list of one repository has nothing of its neighbours."""
    pages = ImagePageCatalog(site.database)
    found = await pages.list_ordered(ImageFilter(repository=str(APP)))

    assert [f"{APP}:1", f"{APP}:2"] == sorted(row.name for row in found)


async def test_shared_blobs_count_once(site: Site) -> None:
    """Together, images are not larger than what is stored of them."""
    groups = ImageGroupCatalog(site.database)
    one, two = str(ONE.digest), str(TWO.digest)
    sizes = await groups.list_sizes()

    both = await groups.measure_together([one, two, one])
    assert sizes[one] + sizes[two] - len(b"shared") == both
    assert sizes[two] == await groups.measure_together([two])
    assert await groups.measure_together([]) == 0


async def test_a_former_image_has_the_tag_of_its_pulls(site: Site) -> None:
    """Once the tag leads to another image, people still see which image it was."""
    pulled = Pull(APP, Tag("2"), ONE.digest, "10.0.0.1", 1234.0)
    await PullCatalog(site.database).record([pulled])
    await site.pull(APP, TWO, "1", "2")
    pages = ImagePageCatalog(site.database)

    rows = {row.name: row.former for row in await pages.list_ordered(ALL)}
    assert rows[f"{APP}@{ONE.digest}"] == "2"
    assert rows[f"{APP}:2"] == ""
    found = await pages.find(str(APP), str(ONE.digest))
    assert found is not None
    assert found.former == "2"
    current = await pages.find(str(APP), str(TWO.digest))
    assert current is not None
    assert current.former == ""
