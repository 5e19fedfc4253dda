"""Laws of downloads that wait for space together."""

import asyncio
from collections.abc import AsyncIterator, Collection
from pathlib import Path

import pytest

from registry.catalog.usage import StoredBlobRecord
from registry.oci.digest import Digest
from tests.unit.content.content_site import Site, open_site

SIZE = 1000
STORED, WAITING = 20, 8


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(tmp_path, limit=STORED * SIZE) as site:
        for number in range(STORED):
            await site.fill(bytes([number]) * SIZE)
        yield site


async def test_downloads_that_wait_share_an_eviction(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a full disk the first of many downloads frees the space for all, and no more than that.

    To find what may go takes seconds in a large catalog, and downloads wait for ten.
    """
    plans = 0
    list_coldest = site.evictor._catalog.list_coldest

    async def count(wanted: float, without: Collection[Digest]) -> list[StoredBlobRecord]:
        nonlocal plans
        plans += 1
        return await list_coldest(wanted, without)

    monkeypatch.setattr(site.evictor._catalog, "list_coldest", count)
    new = [Digest.of(b"new %d" % number) for number in range(WAITING)]

    await asyncio.gather(*[site.room.reserve(digest, SIZE) for digest in new])

    assert set(site.catalog.list_reservations()) == set(new)
    assert len(site.list_files()) == STORED - WAITING
    assert plans < WAITING / 2


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
