"""Laws of the last use: it is per repository, and the later of the first seen and the last pull."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from registry.catalog import pulls
from registry.catalog.last_used import LastUses
from registry.catalog.pulls import Pull
from tests.unit.content.content_site import HERE, THERE, Site, make_image, make_index, open_site

AMD, ARM = make_image(b"amd-config"), make_image(b"arm-config", b"layer")
INDEX = make_index(AMD, ARM)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(tmp_path) as site:
        yield site


async def test_nothing_was_used_of_nothing(site: Site) -> None:
    """An empty catalog has no last uses."""
    assert await site.uses.list_all() == LastUses({}, [])


async def test_the_later_of_seen_and_pulled_counts(site: Site) -> None:
    """The last use is the last pull, or when the manifest came if it was not pulled."""
    site.now = 100.0
    for image in (AMD, ARM):
        await site.pull(HERE, image)
    await site.note_pulls((HERE, AMD.digest, 200.0), (HERE, ARM.digest, 50.0))
    last = (await site.uses.list_all()).last
    assert last == {(HERE, AMD.digest): 200.0, (HERE, ARM.digest): 100.0}


async def test_uses_are_of_one_repository(site: Site) -> None:
    """A pull from one repository is not a use in another with the same manifest."""
    for repository in (HERE, THERE):
        await site.pull(repository, AMD)
    await site.note_pulls((THERE, AMD.digest, 5000.0))
    last = (await site.uses.list_all()).last
    assert last == {(HERE, AMD.digest): 1000.0, (THERE, AMD.digest): 5000.0}


async def test_indexes_are_paired_with_their_manifests(site: Site) -> None:
    """An index is paired with all manifests that it lists, and with no blob."""
    await site.pull(HERE, INDEX, "1")
    await site.pull(HERE, ARM)
    indexes = (await site.uses.list_all()).indexes
    assert sorted(indexes) == sorted((INDEX.digest, child.digest) for child in (AMD, ARM))


async def test_records_of_ever_new_clients_are_bounded(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names and clients of the oldest pulls are deleted; the last pull of each image is kept."""
    monkeypatch.setattr(pulls, "MOST_RECORDS", 10)
    monkeypatch.setattr(pulls, "_TRIM_AFTER", 5)
    await site.pull(HERE, AMD)
    await site.note_pulls((HERE, AMD.digest, 5000.0))
    for number in range(30):
        client = f"10.0.0.{number}"
        await site.pulls.record([Pull(HERE, ARM.digest, ARM.digest, client, 6000.0 + number)])

    counted = await site.database.survey(
        lambda rows: rows.execute("SELECT * FROM pulls").fetchall()
    )
    last = (await site.uses.list_all()).last

    assert len(counted) <= 10 + 5 + 2
    assert {row[3] for row in counted} >= {"10.0.0.29", "10.0.0.25"}
    assert last[HERE, AMD.digest] == 5000.0
