"""Laws of evictions: rows are deleted before files, readers are safe, crashes are completed."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from registry.catalog.eviction_order import StoredBlobRecord
from registry.catalog.pins import Root
from registry.errors import StoreError
from registry.oci.digest import Digest
from registry.oci.names import Tag
from tests.unit.content.content_site import HERE, Crash, Site, make_image, open_site

SIZE = 1000
A, B, C = (name * SIZE for name in (b"a", b"b", b"c"))


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(tmp_path, limit=3 * SIZE) as site:
        yield site


async def refuse(*_: object) -> None:
    raise OSError("the disk refuses")


async def crash(*_: object) -> None:
    raise Crash


def counted(site: Site) -> int | None:
    return site.metrics.registry.get_sample_value("entrepot_evicted_bytes_total")


async def record_of(site: Site, content: bytes) -> StoredBlobRecord:
    return StoredBlobRecord(await site.fill(content), len(content), site.now)


async def test_deleting_takes_row_and_file(site: Site) -> None:
    """A deleted blob has neither row nor file, and its bytes do not count any more."""
    victims = [await record_of(site, A), await record_of(site, B)]
    await site.fill(C)
    assert await site.evictor.delete(victims) == 2 * SIZE
    assert site.list_files() == {Digest.of(C).encoded}
    assert (site.catalog.used(), site.catalog.list_deleting()) == (SIZE, [])
    assert counted(site) == 2 * SIZE


async def test_what_is_read_is_left(site: Site) -> None:
    """A blob that is being read keeps file and row, and does not count as freed."""
    victims = [await record_of(site, A), await record_of(site, B)]
    file = await site.store.open(victims[0].digest)
    assert file is not None
    assert await site.evictor.delete(victims) == SIZE
    file.close()
    assert site.catalog.find_size(victims[0].digest) == SIZE
    assert site.list_files() == {victims[0].digest.encoded}


async def test_a_refusing_disk_leaves_no_row(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a file cannot be deleted, its row is gone, its bytes count, and it is tried again."""
    victim = await record_of(site, A)
    with monkeypatch.context() as patch:
        patch.setattr(site.store, "delete", refuse)
        with pytest.raises(OSError, match="refuses"):
            await site.evictor.delete([victim])
    assert site.catalog.find_size(victim.digest) is None
    assert site.catalog.used() == site.measure() == SIZE

    await site.evictor.finish_interrupted()

    assert (site.catalog.used(), site.measure(), site.catalog.list_deleting()) == (0, 0, [])


@pytest.mark.parametrize("step", ["delete", "mark_deleted"])
async def test_a_crash_in_a_deletion_is_finished(
    site: Site, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """A deletion that a crash interrupted before or after the file is completed later."""
    victim = await record_of(site, A)
    with monkeypatch.context() as patch:
        patch.setattr(site.store if step == "delete" else site.evictor._catalog, step, crash)
        with pytest.raises(Crash):
            await site.evictor.delete([victim])
    assert site.catalog.find_size(victim.digest) is None, "no row promises what may be gone"
    for _ in range(2):
        await site.evictor.finish_interrupted()
    assert (site.catalog.used(), site.measure(), site.catalog.list_deleting()) == (0, 0, [])


async def test_what_was_pinned_since_is_left(site: Site) -> None:
    """A blob that was pinned before its deletion keeps file and row."""
    image = make_image(A, B)
    await site.pull(HERE, image, "1")
    victims = [StoredBlobRecord(Digest.of(each), SIZE, site.now) for each in (A, B)]
    victims.append(await record_of(site, b"other"))
    await site.pin(HERE, Tag("1"))
    assert await site.evictor.delete(victims) == len(b"other")
    assert all(site.is_here(Digest.of(each)) for each in (A, B))
    assert (site.catalog.used(), site.catalog.list_deleting()) == (site.measure(), [])


async def test_what_was_pinned_after_a_crash_is_not_mended_away(site: Site) -> None:
    """An interrupted deletion of a blob that is pinned by now is undone."""
    image = make_image(A, B)
    await site.pull(HERE, image, "1")
    for each in (A, B):
        await site.catalog.mark_deleting(Digest.of(each))
    await site.put_pin(HERE, Tag("1"), [Root(image.digest, True)], 1.0)
    site.path_of(Digest.of(B)).unlink()

    await site.evictor.finish_interrupted()

    assert site.is_here(Digest.of(A))
    assert site.catalog.find_size(Digest.of(A)) == SIZE
    assert site.catalog.find_size(Digest.of(B)) is None, "no row promises what is gone"
    assert (site.catalog.used(), site.catalog.list_deleting()) == (site.measure(), [])


async def test_what_came_back_is_not_mended_away(site: Site) -> None:
    """A blob that was downloaded again, or is downloading, is not deleted."""
    digest = await site.fill(A)
    await site.catalog.mark_deleting(digest)
    await site.room.record(digest, SIZE)
    downloading = await site.fill(B)
    await site.catalog.mark_deleting(downloading)
    await site.catalog.reserve(downloading, SIZE, 10 * SIZE)

    await site.evictor.finish_interrupted()

    assert site.is_here(digest)
    assert site.is_here(downloading)
    assert (site.catalog.used(), site.catalog.list_deleting()) == (2 * SIZE, [])


async def test_a_damaged_blob_is_quarantined(site: Site) -> None:
    """A damaged blob is not served any more; its file is kept in quarantine and counts."""
    digest = await site.fill(A)
    site.spoil(digest, b"damaged")
    await site.evictor.quarantine(digest, "damaged")

    assert not site.is_here(digest)
    assert site.catalog.find_size(digest) is None
    aside = site.folder.quarantine / f"sha256-{digest.encoded}"
    assert aside.read_bytes() == b"damaged"
    assert site.catalog.used() == site.measure() == len(b"damaged")


async def test_a_damaged_blob_is_quarantined_though_it_is_read(site: Site) -> None:
    """A damaged blob is quarantined even while it is read, so no other reader gets it."""
    digest = await site.fill(A)
    file = await site.store.open(digest)
    assert file is not None
    await site.evictor.quarantine(digest, "damaged")
    file.close()
    assert not site.is_here(digest)


async def test_what_is_gone_is_not_quarantined(site: Site) -> None:
    """A blob that was just evicted leaves neither a file nor bytes in quarantine."""
    await site.evictor.quarantine(Digest.of(A), "damaged")
    assert (site.catalog.list_quarantined(), site.catalog.used()) == ([], 0)


async def test_it_may_rot_again(site: Site) -> None:
    """A blob that was downloaded and damaged again is quarantined and counted once."""
    for rot in (b"damaged", b"damaged again"):
        digest = await site.fill(A)
        site.spoil(digest, rot)
        await site.evictor.quarantine(digest, "damaged")
    assert site.catalog.list_quarantined() == [(digest, len(b"damaged again"))]
    assert site.catalog.used() == site.measure() == len(b"damaged again")


async def test_a_crash_in_quarantining_is_finished(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a process dies between row and file, the file is quarantined later."""
    digest = await site.fill(A)
    with monkeypatch.context() as patch:
        patch.setattr(site.store, "quarantine", crash)
        with pytest.raises(Crash):
            await site.evictor.quarantine(digest, "damaged")
    assert site.is_here(digest)

    await site.evictor.finish_interrupted()

    assert not site.is_here(digest)
    assert site.catalog.used() == site.measure() == SIZE


async def test_a_healthy_blob_is_not_quarantined_for_its_former_self(site: Site) -> None:
    """A new download of a damaged blob is not quarantined."""
    for content in (A, B):
        digest = await site.fill(content)
        await site.evictor.quarantine(digest, "damaged")
    await site.fill(A)
    await site.catalog.reserve(Digest.of(B), SIZE, 10 * SIZE)
    site.adopt(B)
    await site.evictor.finish_interrupted()
    assert site.list_files() == {Digest.of(A).encoded, Digest.of(B).encoded}


async def test_quarantine_makes_room_first(site: Site) -> None:
    """The whole quarantine is deleted before any blob is evicted."""
    for content in (A, B):
        await site.evictor.quarantine(await site.fill(content), "damaged")
    healthy = await site.fill(C)
    await site.fill(b"d" * 500)
    assert site.is_here(healthy)
    assert list(site.folder.quarantine.iterdir()) == []
    assert site.catalog.used() == site.measure() == 1500


async def test_an_emptied_quarantine_is_not_counted(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a crash follows the deletion of a quarantined file, its bytes do not count."""

    async def crash(*_: object) -> None:
        raise Crash

    await site.evictor.quarantine(await site.fill(A), "damaged")
    with monkeypatch.context() as patched:
        patched.setattr(site.evictor._catalog, "release", crash)
        with pytest.raises(Crash):
            await site.evictor.free(SIZE, Digest.of(b"next"))
    assert site.catalog.used() == SIZE

    await site.room.finish_interrupted()

    assert site.catalog.used() == site.measure() == 0


async def test_freeing_tells_what_it_made(site: Site) -> None:
    """The freed bytes are those of quarantine, blobs and abandoned partial files."""
    await site.evictor.quarantine(await site.fill(A), "damaged")
    await site.fill(B)
    left = Digest.of(b"left")
    await site.room.reserve(left, 300)
    writer = site.ingests.take(left)
    assert writer is not None
    writer.append([b"x" * 301])
    writer.close()
    await site.room.release_reservation(left)

    all_there_is = 2 * SIZE + 300
    assert await site.evictor.free(all_there_is, Digest.of(b"other")) == all_there_is
    assert (site.catalog.used(), site.measure()) == (0, 0)


async def test_a_fill_does_not_free_its_own_part(site: Site) -> None:
    """A download that needs space keeps its own partial file."""
    digest = Digest.of(b"mine")
    await site.room.reserve(digest, 300)
    writer = site.ingests.take(digest)
    assert writer is not None
    writer.append([b"x" * 301])
    writer.close()
    await site.room.release_reservation(digest)
    assert await site.evictor.free(SIZE, digest) is None
    assert site.ingests.measure(digest) == 300


async def test_nothing_goes_for_what_cannot_be_had(site: Site) -> None:
    """If too little can be freed, nothing is deleted: a wrong size empties no store."""
    for name in (A, B):
        await site.fill(name)
    assert await site.evictor.free(2 * SIZE + 1, Digest.of(b"other")) is None
    assert site.catalog.used() == 2 * SIZE


async def test_a_plan_deletes_nothing(site: Site) -> None:
    """A plan lists the least recently used blobs within the limits, and deletes nothing."""
    for place, content in enumerate((A, B, C)):
        site.now = 1000.0 + place
        await site.fill(content)
    planned = [blob.digest for blob in await site.evictor.plan(SIZE + 1)]
    assert planned == [Digest.of(A), Digest.of(B)]
    assert [blob.digest for blob in await site.evictor.plan(SIZE + 1, most=SIZE)] == planned[:1]
    assert len(site.list_files()) == 3


async def test_nobody_frees_what_is_pinned_or_filled(site: Site) -> None:
    """If all other bytes are pinned or being written, nothing can be freed."""
    busy = Digest.of(b"busy")
    writer = site.ingests.take(busy)
    assert writer is not None
    await site.room.reserve(busy, 3 * SIZE)
    with pytest.raises(StoreError, match="no space"):
        await site.fill(A)
    writer.close()
