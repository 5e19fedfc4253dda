"""Laws of usage: reservations and stored blobs together never exceed the limit."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from registry.catalog.database import Database
from registry.catalog.manifests import ManifestCatalog
from registry.catalog.pulls import Pull, PullCatalog
from registry.catalog.rebuild import RebuildCatalog
from registry.catalog.usage import UsageCatalog, UsageTotals
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.manifest import Manifest, parse_manifest
from registry.oci.names import Repository

HERE = Repository("docker.io", "library/a")
A, B, C = (Digest.of(name) for name in (b"a", b"b", b"c"))


@pytest.fixture
def room(database: Database) -> UsageCatalog:
    return UsageCatalog(database)


def image(*layers: Digest) -> Manifest:
    described = [{"mediaType": "x", "digest": str(each), "size": 10} for each in layers]
    document = {"config": described[0], "layers": described[1:]}
    return parse_manifest(json.dumps(document).encode(), media_types.OCI_MANIFEST)


async def test_bytes_are_reserved_up_to_the_limit(room: UsageCatalog) -> None:
    """The last byte can be reserved. Beyond it nothing is, and the missing bytes are returned."""
    assert await room.reserve(A, 60, 100) == 0
    assert await room.reserve(B, 50, 100) == 10
    assert room.used() == 60
    assert await room.reserve(B, 40, 100) == 0
    assert room.used() == 100


async def test_reserving_again_changes_the_reservation(room: UsageCatalog) -> None:
    """A download that reserves more bytes uses only the difference in addition."""
    await room.reserve(A, 60, 100)
    assert await room.reserve(A, 100, 100) == 0
    assert room.used() == 100
    await room.release_reservation(A, 30)
    assert room.used() == 30
    await room.release_reservation(A, 0)
    assert (room.used(), room.list_reservations()) == (0, {})


async def test_a_recorded_blob_takes_its_reservations_place(room: UsageCatalog) -> None:
    """A complete blob counts once, whatever was reserved for it before."""
    await room.reserve(A, 60, 100)
    for _ in range(2):
        await room.record(A, 50, 1.0)
    assert room.used() == 50
    assert [(blob.digest, blob.size) for blob in await room.list_coldest()] == [(A, 50)]


async def test_blobs_that_are_being_deleted_count_until_their_files_are_gone(
    room: UsageCatalog,
) -> None:
    """A blob whose deletion has begun counts, and is listed, until its file is deleted."""
    await room.record(A, 50, 1.0)
    await room.mark_deleting(A)
    assert (room.used(), room.list_deleting()) == (50, [A])
    await room.mark_deleted(A)
    await room.mark_deleted(A)
    assert (room.used(), room.list_deleting()) == (0, [])


async def test_processes_never_share_a_byte(tmp_path: Path) -> None:
    """Two processes together reserve no more bytes than there are."""
    path = tmp_path / "catalog.db"
    async with Database(path) as here, Database(path) as there:
        asked = [
            (UsageCatalog(here if number % 2 else there), Digest.of(bytes([number])))
            for number in range(40)
        ]
        missing = await asyncio.gather(*[room.reserve(digest, 10, 100) for room, digest in asked])
        assert sorted(missing) == [0] * 10 + [10] * 30
        assert UsageCatalog(here).used() == 100


async def test_blobs_are_as_warm_as_their_warmest_image(
    database: Database, room: UsageCatalog
) -> None:
    """A layer was last used with its last used image; manifests are evicted after layers."""
    manifests = ManifestCatalog(database)
    old, new = image(A, B), image(A, C)
    for manifest in (old, new):
        await manifests.record(HERE, manifest, None, 1.0)
        await room.record(manifest.digest, len(manifest.raw), 1.0)
    for blob in (A, B, C):
        await room.record(blob, 10, 1.0)
    pulls = PullCatalog(database)
    one, two = (Pull(HERE, each.digest, each.digest, "", 200.0) for each in (old, new))
    await pulls.record([replace(one, pulled=100.0), two])
    await pulls.record([replace(two, pulled=150.0)])  # written late: not younger than it is

    found = [(blob.digest, blob.used) for blob in await room.list_coldest()]

    assert found[:2] == [(B, 100.0), (old.digest, 100.0)]
    assert sorted(found[2:4]) == sorted([(A, 200.0), (C, 200.0)])
    assert found[4:] == [(new.digest, 200.0)]


async def test_blobs_of_no_image_count_from_when_they_were_stored(room: UsageCatalog) -> None:
    """A blob of no manifest was last used when it was stored."""
    await room.record(A, 10, 5.0)
    await room.record(B, 10, 3.0)
    assert [blob.digest for blob in await room.list_coldest()] == [B, A]


async def test_a_survey_counts_also_the_blobs_that_it_does_not_list(room: UsageCatalog) -> None:
    """A survey lists blobs up to the wanted bytes, and counts the bytes of all without a pin."""
    assert await room.survey_evictable(10) == ([], 0)
    for time, digest in enumerate((A, B, C)):
        await room.record(digest, 10, float(time))
    found, evictable = await room.survey_evictable(11)
    assert ([blob.digest for blob in found], evictable) == ([A, B], 30)


async def test_a_found_blob_is_recorded_once(room: UsageCatalog) -> None:
    """A blob on disk is recorded unless it is recorded, reserved, being deleted or quarantined."""
    assert await room.record_found(A, 50, 3.0)
    assert not await room.record_found(A, 50, 4.0)
    assert room.list_after("", 9) == [(A, 3.0)]
    await room.reserve(B, 7, 100)
    assert not await room.record_found(B, 50, 3.0)
    await room.record(C, 10, 1.0)
    await room.mark_deleting(C)
    assert not await room.record_found(C, 10, 3.0)
    await room.quarantine(A, 50)
    assert not await room.record_found(A, 50, 3.0)
    assert room.used() == 50 + 7 + 10


async def test_found_blobs_are_recorded_where_they_are_not(
    room: UsageCatalog, database: Database
) -> None:
    """Only unknown blobs are counted; known blobs keep their time."""
    await room.record(A, 50, 1.0)
    await RebuildCatalog(database).record_blobs([(A, 50), (B, 7), (B, 7)], 9.0)
    assert sorted(room.list_after("", 9)) == sorted([(A, 1.0), (B, 9.0)])
    assert room.used() == 57


async def test_a_blob_that_was_stored_again_is_not_dropped(room: UsageCatalog) -> None:
    """The row of a blob that was recorded again meanwhile is not deleted."""
    await room.record(A, 50, 1.0)
    await room.record(A, 40, 2.0)
    assert not await room.drop(A, 1.0)
    assert (room.used(), room.find_size(A)) == (40, 40)
    assert await room.drop(A, 2.0)
    assert not await room.drop(A, 2.0)
    assert (room.used(), room.find_size(A)) == (0, None)


async def test_pages_have_each_blob_once(room: UsageCatalog) -> None:
    """The pages together have each blob once, in the order of digests."""
    digests = sorted(Digest.of(bytes([number])) for number in range(7))
    for digest in digests:
        await room.record(digest, 10, 1.0)
    found, position = [], ""
    while page := room.list_after(position, 3):
        found += [digest for digest, _ in page]
        await room.drop(page[0][0], 1.0)
        position = str(page[-1][0])
    assert found == digests


async def test_quarantined_files_count_with_their_size(room: UsageCatalog) -> None:
    """A quarantined file counts once, with its size on disk, also if it was not recorded."""
    await room.record(A, 50, 1.0)
    await room.quarantine(A, 30)
    await room.quarantine(B, 8)
    assert (room.used(), room.find_size(A)) == (38, None)
    await room.record(A, 50, 2.0)
    await room.quarantine(A, 20)
    assert sorted(room.list_quarantined()) == sorted([(A, 20), (B, 8)])
    assert room.used() == 28
    for _ in range(2):
        await room.release(A)
    assert (room.used(), room.list_quarantined()) == (8, [(B, 8)])


async def test_usage_is_added_up_by_kind(room: UsageCatalog) -> None:
    """Complete blobs, reservations and quarantined files are added up separately."""
    await room.record(A, 50, 1.0)
    await room.record(B, 0, 1.0)
    await room.reserve(C, 30, 100)
    await room.quarantine(Digest.of(b"d"), 4)
    assert await room.break_down() == UsageTotals(50, 2, 0, 30, 4)


async def test_a_backup_has_only_complete_blobs(room: UsageCatalog) -> None:
    """Without reservations, deletions and quarantine, only complete blobs count."""
    await room.record(A, 50, 1.0)
    await room.record(B, 5, 1.0)
    await room.mark_deleting(B)
    await room.reserve(C, 30, 100)
    await room.quarantine(C, 4)
    await room.clear_unfinished()
    assert (room.used(), room.list_deleting(), room.list_reservations()) == (50, [], {})
    assert await room.break_down() == UsageTotals(50, 1, 0, 0, 0)
