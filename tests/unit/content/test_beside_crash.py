"""A crash at the end of an ingest beside another one: the blob is counted all the same."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from registry.errors import StoreFull
from registry.oci.digest import Digest
from registry.store.ingests import name_beside
from tests.unit.content.content_site import Crash, Site, open_site

LIMIT = 5000
CONTENT = b"x" * 3000
DIGEST = Digest.of(CONTENT)


async def crash(*_: object, **__: object) -> None:
    raise Crash


async def do_nothing(*_: object) -> None:
    """What a process that has died does at the end."""


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(tmp_path, LIMIT) as site:
        yield site


@pytest.mark.parametrize("is_short", [True, False])
@pytest.mark.parametrize("owner", ["", "another"])
async def test_a_stored_blob_is_counted_after_a_crash(
    site: Site, monkeypatch: pytest.MonkeyPatch, owner: str, *, is_short: bool
) -> None:
    """Its bytes stay reserved, also if others want them, until it is recorded."""
    part = name_beside(DIGEST, owner) if owner else None
    ingest = site.content.content.try_ingest(DIGEST, part)
    assert ingest is not None
    await ingest.append([CONTENT], len(CONTENT))
    with monkeypatch.context() as patch:
        patch.setattr(site.room, "record", crash)
        patch.setattr(site.room, "release_reservation", do_nothing)
        with pytest.raises(Crash):
            await ingest.commit()
    assert site.is_here(DIGEST)

    if is_short:
        with pytest.raises(StoreFull):
            await site.room.reserve(Digest.of(b"another"), LIMIT - 1000)
    await site.room.finish_interrupted()

    assert site.catalog.find_size(DIGEST) == len(CONTENT) == site.catalog.used()
    assert site.catalog.list_reservations() == {}
    assert await site.list_evictable() == {DIGEST}
    assert list(site.folder.ingests.iterdir()) == []


async def test_bytes_beside_a_stored_blob_are_counted(site: Site) -> None:
    """What a suspended ingest has left is not the blob that another one has stored meanwhile."""
    beside = site.content.content.try_ingest(DIGEST, name_beside(DIGEST, "another"))
    assert beside is not None
    async with beside:
        await beside.append([CONTENT[:1001]], len(CONTENT))
    await site.fill(CONTENT)
    await site.room.finish_interrupted()

    assert site.catalog.used() == len(CONTENT) + 1000 == site.measure()
