"""Laws of the list of repositories: who sees little keeps nobody waiting, and finds all of it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from registry.catalog.database import Database
from registry.catalog.manifests import ManifestCatalog
from registry.mirror.repository_list import RepositoryList, RepositoryPage
from registry.store.data_folder import open_folder

STEP, MOST = 10, 100
COUNT = 1000  # repositories


class Site:
    """A catalog with many repositories; `visible` are those that the client may see."""

    def __init__(self, database: Database) -> None:
        self.manifests = ManifestCatalog(database)
        self.list = RepositoryList(self.manifests, STEP, MOST)
        self.visible: set[str] = set()
        self.looked_at: list[str] = []

    def may_see(self, repository: str, tag: str | None) -> bool:
        assert tag is None
        self.looked_at.append(repository)
        return repository in self.visible

    async def find_page(self, count: int = 5, last: str | None = None) -> RepositoryPage:
        return await self.list.find_page(count, last, self.may_see)


def name(number: int) -> str:
    return f"docker.io/r{number:04}"


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with Database(open_folder(tmp_path).catalog) as database:
        await database.write(
            lambda rows: rows.executemany(
                "INSERT INTO holdings VALUES (?, 'sha256:1', 1.0)",
                [(name(number),) for number in range(COUNT)],
            )
        )
        yield Site(database)


async def test_pages_have_what_the_client_may_see(site: Site) -> None:
    """Page by page to the end, also if only every thirtieth is visible."""
    site.visible = {name(number) for number in range(0, COUNT, 30)}
    seen: list[str] = []
    last = None
    for _ in range(COUNT):
        found = await site.find_page(5, last)
        assert not found.warning
        assert len(found.page.entries) <= 5
        seen += found.page.entries
        last = found.page.next_last
        if last is None:
            break

    assert sorted(site.visible) == seen


async def test_the_work_for_a_page_is_bounded(site: Site) -> None:
    """Not more repositories are looked at, and then a page without names says so."""
    found = await site.find_page()

    assert len(site.looked_at) == MOST
    assert (found.page.entries, found.page.next_last) == ((), None)
    assert f"none of the next {MOST}" in found.warning
    site.visible = {name(COUNT - 1)}
    after = await site.find_page(last=name(COUNT - 5))
    assert after == RepositoryPage(after.page)
    assert after.page.entries == (name(COUNT - 1),)


async def test_a_page_is_shorter_rather_than_dear(site: Site) -> None:
    """The next one begins after its last name, and not after one that is hidden."""
    site.visible = {name(0), name(150)}

    first = await site.find_page()
    second = await site.find_page(last=first.page.next_last)

    assert (first.page.entries, first.page.next_last, first.warning) == ((name(0),), name(0), "")
    assert second.page.entries == ()
    assert second.warning, "between the two are more than are looked at"


async def test_other_work_is_done_between_the_steps(site: Site) -> None:
    """While a page is made, the event loop has a turn after each step."""
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count_turns())
    await asyncio.sleep(0)
    await site.find_page()
    counting.cancel()

    assert turns >= MOST // STEP


async def test_one_page_is_made_at_a_time(site: Site) -> None:
    """Many clients that ask for lists get no more of the worker's time than one."""
    pages = [asyncio.create_task(site.find_page()) for _ in range(5)]
    await asyncio.gather(*pages)

    expected = [name(number) for number in range(MOST)] * 5
    assert site.looked_at == expected


@pytest.mark.parametrize("count", [0, 1])
async def test_an_empty_page_costs_nothing(site: Site, count: int) -> None:
    """The specification allows `n=0`; and a page of one entry looks at one step."""
    site.visible = {name(number) for number in range(COUNT)}

    found = await site.find_page(count)

    assert len(found.page.entries) == count
    assert len(site.looked_at) == STEP * count
