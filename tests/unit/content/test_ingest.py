"""Laws of an ingest: after each kind of end, bytes, lock and reservation are right."""

import asyncio
from pathlib import Path

import pytest

from registry.content.destination import Stored
from registry.content.ingest import STEP
from registry.errors import DigestMismatch, StoreError
from registry.oci.digest import Digest
from registry.store.ingests import name_beside
from registry.store.partial import PartialState, SealedPartial
from tests.unit.content.ingest_site import CONTENT, DIGEST, SIZE, Site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


async def test_a_committed_blob_is_stored_and_recorded_once(site: Site) -> None:
    """After a commit the blob is stored and recorded; no partial file or lock is left."""
    async with site.take() as ingest:
        await ingest.append([CONTENT[:100], CONTENT[100:]], SIZE)
        assert ingest.offset == SIZE
        assert await ingest.commit() == Stored(DIGEST, SIZE)

    assert await site.content.read_all(DIGEST, SIZE) == CONTENT
    assert (site.space.recorded, site.space.released) == ([SIZE], [])
    assert site.list_files() == []
    assert site.is_free


async def test_readers_follow_but_never_get_the_last_byte_early(site: Site) -> None:
    """Readers see all bytes but the last, and the last after the check of the digest."""
    states: list[PartialState] = []
    ingest, reader = site.take(), site.content.ingests.open(DIGEST)
    assert reader is not None
    with reader:
        async with ingest:
            await ingest.append([CONTENT], SIZE)
            assert reader.progress().written == SIZE - 1
            assert await ingest.verify() == SIZE == reader.progress().written
            await ingest.commit(lambda: states.append(reader.progress().state))
    assert states == [PartialState.WHOLE]


async def test_space_is_reserved_once_for_a_known_size(site: Site) -> None:
    """The whole size is reserved once, before the first byte."""
    async with site.take() as ingest:
        for start in range(0, SIZE, 1000):
            await ingest.append([CONTENT[start : start + 1000]], SIZE)
    assert site.space.reserved == [SIZE]


async def test_space_is_reserved_step_by_step_for_an_unknown_size(site: Site) -> None:
    """A step is reserved, and the next step when half of it is used."""
    chunk = bytes(1024 * 1024)
    async with site.take() as ingest:
        for _ in range(STEP // len(chunk)):
            await ingest.append([chunk])
    half = STEP // 2 + len(chunk)
    assert site.space.reserved == [STEP, half + STEP]


async def test_without_space_nothing_is_written(site: Site) -> None:
    """If the reservation is refused, no byte is written, and no file is left."""
    site.space.refuses_space = True
    async with site.take() as ingest:
        with pytest.raises(StoreError, match="no space"):
            await ingest.append([CONTENT], SIZE)
    assert site.list_files() == []


async def test_a_suspended_ingest_is_resumed(site: Site) -> None:
    """The next writer continues with the bytes on disk; the reservation is released."""
    async with site.take() as first:
        await first.append([CONTENT[:5000]], SIZE)
    assert site.space.released == [DIGEST]

    async with site.take() as second:
        offset = await second.resume(SIZE)
        assert offset == 4999, "the byte that was held back came again"
        await second.append([CONTENT[offset:]], SIZE)
        await second.commit()
    assert await site.content.read_all(DIGEST, SIZE) == CONTENT


async def test_bytes_that_were_not_resumed_are_kept(site: Site) -> None:
    """Who ends before it has looked at the bytes of an earlier writer does not delete them."""
    async with site.take() as first:
        await first.append([CONTENT[:5000]], SIZE)
    async with site.take():
        pass
    assert site.content.ingests.measure(DIGEST) == 4999


async def test_what_is_left_of_a_stored_blob_is_deleted(site: Site) -> None:
    """Who waits to write a blob that is stored by then deletes the bytes of earlier writers."""
    parts = await site.content.wait_for_parts(DIGEST, SIZE)
    assert parts is not None
    async with parts:
        await parts.add(0, Digest.of(CONTENT[:5000]), [CONTENT[:5000]])
    async with site.take() as first:
        await first.append([CONTENT[:5000]], SIZE)
    beside = site.content.try_ingest(DIGEST, name_beside(DIGEST, "another"))
    assert beside is not None
    async with beside:
        await beside.append([CONTENT], SIZE)
        await beside.commit()

    assert await site.content.wait_for_ingest(DIGEST) is None
    assert ".part" not in site.list_files()
    assert await site.content.wait_for_parts(DIGEST, SIZE) is None
    assert site.list_files() == []


@pytest.mark.parametrize("size", [None, 4999, 100])
async def test_what_cannot_be_continued_is_thrown_away(site: Site, size: int | None) -> None:
    """Bytes of a blob of unknown size, or too many bytes, are deleted."""
    async with site.take() as first:
        await first.append([CONTENT[:5000]], SIZE)
    async with site.take() as second:
        assert await second.resume(size) == 0


async def test_an_aborted_ingest_leaves_nothing(site: Site) -> None:
    """After an abort no bytes are left, readers see it, and a second end does nothing."""
    async with site.take() as ingest:
        await ingest.append([CONTENT[:5000]], SIZE)
        reader = site.content.ingests.open(DIGEST)
        await ingest.abort()
    assert reader is not None
    with reader:
        assert reader.progress().state is PartialState.ABANDONED
    assert site.list_files() == []
    assert site.space.released == [DIGEST]
    assert site.is_free


async def test_wrong_bytes_are_rejected(site: Site) -> None:
    """A commit of wrong bytes stores nothing, leaves nothing, and readers see it."""
    async with site.take() as ingest:
        await ingest.append([CONTENT[:-1], b"\0"], SIZE)
        reader = site.content.ingests.open(DIGEST)
        with pytest.raises(DigestMismatch):
            await ingest.commit()
    assert reader is not None
    with reader:
        assert reader.progress().state is PartialState.REJECTED
    assert await site.store.stat(DIGEST) is None
    assert (site.list_files(), site.space.released) == ([], [DIGEST])


async def test_a_refusing_catalog_costs_no_blob(site: Site) -> None:
    """A blob that cannot be recorded is stored; its reservation is released later."""
    site.space.refuses_records = True
    async with site.take() as ingest:
        await ingest.append([CONTENT], SIZE)
        assert await ingest.commit() == Stored(DIGEST, SIZE)
    assert await site.store.stat(DIGEST) == SIZE
    assert site.space.released == [DIGEST]


async def test_a_refusing_disk_leaves_the_choice(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the store refuses the file, the ingest has not ended, and can be suspended."""

    async def refuse(_: SealedPartial) -> None:
        raise StoreError("blobs", "read-only file system")

    monkeypatch.setattr(site.store, "adopt", refuse)
    async with site.take() as ingest:
        await ingest.append([CONTENT], SIZE)
        with pytest.raises(StoreError, match="read-only"):
            await ingest.commit()
    monkeypatch.undo()
    assert (site.space.recorded, site.space.released) == ([], [DIGEST])
    async with site.take() as ingest:
        assert await ingest.resume(SIZE) == SIZE
        assert ingest.is_complete
        await ingest.commit()
    assert await site.store.stat(DIGEST) == SIZE


async def test_one_writer_at_a_time(site: Site) -> None:
    """There is one ingest of a blob at a time; a waiting one learns that the blob is stored."""
    async with site.take() as ingest:
        assert site.content.try_ingest(DIGEST) is None
        with pytest.raises(StoreError, match="another process"):
            await site.content.wait_for_ingest(DIGEST, within=0.05)
        waiting = asyncio.create_task(site.content.wait_for_ingest(DIGEST))
        await ingest.append([CONTENT], SIZE)
        await ingest.commit()
    assert await waiting is None
    assert site.list_files() == []


async def test_parts_go_through_the_same_commit(site: Site) -> None:
    """A blob from parts is stored and recorded in the same way, when no byte is missing."""
    half = SIZE // 2
    first = await site.content.wait_for_parts(DIGEST, SIZE)
    assert first is not None
    async with first:
        assert await first.add(half, Digest.of(CONTENT[half:]), [CONTENT[half:]]) == SIZE - half
        assert first.missing == half
    assert site.space.released == [DIGEST]

    second = await site.content.wait_for_parts(DIGEST, SIZE)
    assert second is not None
    async with second:
        assert await second.add(0, Digest.of(CONTENT[:half]), [CONTENT[:half]]) == half
        assert await second.commit() == Stored(DIGEST, SIZE)

    assert site.space.recorded == [SIZE]
    assert await site.content.wait_for_parts(DIGEST, SIZE) is None
    assert site.list_files() == []


async def test_a_small_document_is_read_whole_or_not_at_all(site: Site) -> None:
    """A missing, large or damaged blob is not returned; a damaged one is quarantined."""
    assert await site.content.read_all(DIGEST, SIZE) is None
    async with site.take() as ingest:
        await ingest.append([CONTENT], SIZE)
        await ingest.commit()
    assert await site.content.read_all(DIGEST, SIZE - 1) is None
    assert await site.content.read_all(DIGEST, SIZE) == CONTENT

    (path,) = site.folder.blobs.glob("*/*/*")
    path.chmod(0o644)
    path.write_bytes(CONTENT[:-1] + b"\0")
    assert await site.content.read_all(DIGEST, SIZE) is None
    assert await site.store.stat(DIGEST) is None
