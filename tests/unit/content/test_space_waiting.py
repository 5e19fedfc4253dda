"""Laws of downloads that wait for space together."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from registry.errors import StoreError
from registry.oci.digest import Digest
from tests.unit.content.content_site import Site, open_site

T = TypeVar("T")
SIZE = 1000
STORED, WAITING = 20, 8


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(tmp_path, limit=STORED * SIZE) as site:
        for number in range(STORED):
            await site.fill(bytes([number]) * SIZE)
        yield site


class SurveyCounter:
    """Counts the surveys of the whole catalog."""

    def __init__(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        survey = site.database.survey

        async def count(read: Callable[[sqlite3.Connection], T]) -> T:
            self.count += 1
            return await survey(read)

        monkeypatch.setattr(site.database, "survey", count)


async def test_downloads_that_wait_share_an_eviction(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a full disk the first of many downloads frees the space for all, and no more than that.

    To find what may go takes seconds in a large catalog, and downloads wait for ten.
    """
    surveys = SurveyCounter(site, monkeypatch)
    new = [Digest.of(b"new %d" % number) for number in range(WAITING)]

    await asyncio.gather(*[site.room.reserve(digest, SIZE) for digest in new])

    assert set(site.catalog.list_reservations()) == set(new)
    assert len(site.list_files()) == STORED - WAITING
    assert surveys.count < WAITING / 2


async def test_an_eviction_asks_once_what_pins_keep(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One query says whether enough can be freed, and which blobs to delete first.

    With very many pins such a query takes seconds.
    """
    surveys = SurveyCounter(site, monkeypatch)

    assert await site.evictor.free(3 * SIZE, Digest.of(b"new")) == 3 * SIZE

    assert len(site.list_files()) == STORED - 3
    assert surveys.count == 1


async def test_an_eviction_asks_again_only_for_blobs_that_are_read(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blobs that clients are reading stay, and the next ones are deleted in their place."""
    read = await site.store.open((await site.catalog.list_coldest(SIZE))[0].digest)
    assert read is not None
    surveys = SurveyCounter(site, monkeypatch)

    assert await site.evictor.free(3 * SIZE, Digest.of(b"new")) == 3 * SIZE

    read.close()
    assert len(site.list_files()) == STORED - 3
    assert 1 < surveys.count <= 3


async def test_a_download_takes_what_there_is_before_others(site: Site) -> None:
    """A download gets its space also where there is too little for all that wait."""
    too_many = [Digest.of(b"new %d" % number) for number in range(STORED + 2)]
    writers = [site.ingests.take(digest) for digest in too_many]

    reserved = await asyncio.gather(
        *[site.room.reserve(digest, SIZE) for digest in too_many], return_exceptions=True
    )

    assert reserved.count(None) == STORED
    for writer in filter(None, writers):
        writer.close()


async def test_nothing_is_evicted_where_others_write(site: Site) -> None:
    """Space that other downloads are using cannot be freed, so no blob is evicted in vain."""
    busy, new = Digest.of(b"busy"), Digest.of(b"new")
    writer = site.ingests.take(busy)
    assert writer is not None
    await site.room.reserve(busy, (STORED - 1) * SIZE)
    before = site.list_files()
    assert len(before) == 1

    with pytest.raises(StoreError, match="no space"):
        await site.room.reserve(new, SIZE + 1)

    writer.close()
    assert site.list_files() == before
