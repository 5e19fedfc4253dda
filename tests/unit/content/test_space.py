"""Laws of freeing space: least recently used blobs first, readers safe, crashes completed."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from registry.catalog.database import Database
from registry.catalog.usage import UsageCatalog
from registry.content.free_space import FreeSpace
from registry.content.space import Space
from registry.errors import StoreError, StoreFull
from registry.oci.digest import Digest
from registry.settings.model import StorageSettings
from registry.store.contract import FileBody
from registry.store.data_folder import DataFolder, open_folder
from registry.wiring.content import open_handles
from tests.harness.process_parts import ProcessParts

SIZE = 1000
LIMIT = 5 * SIZE


class Site(ProcessParts):
    """A data folder with a limit, and one process on it."""

    def __init__(self, folder: DataFolder, database: Database) -> None:
        storage = StorageSettings(limit=LIMIT, reserve=0, keep_pulled=0)
        super().__init__(open_handles(folder), database, storage=storage)
        self.catalog, self.room = UsageCatalog(database), self.content.space

    def open_room(self, storage: StorageSettings) -> Space:
        """Return the space of a process with other settings."""
        parts = ProcessParts(self.handles, self.database, storage=storage, clock=self.clock)
        return parts.content.space

    async def fill(self, name: str, size: int = SIZE) -> Digest:
        """Store a blob as a download does."""
        content = name.encode() * size
        digest = Digest.of(content[:size])
        await self.room.reserve(digest, size)
        writer = self.ingests.take(digest)
        assert writer is not None
        writer.append([content[:size]])
        await self.store.adopt(writer.seal())
        writer.close()
        self.now += 1
        await self.room.record(digest, size)
        return digest

    def names(self) -> set[str]:
        return {path.name for path in self.folder.blobs.glob("*/*/*")}

    async def tidy(self) -> None:
        """Run one step of the background process."""
        await self.room.finish_interrupted()
        await self.room.keep_ready()


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    folder = open_folder(tmp_path)
    async with Database(folder.catalog) as database:
        yield Site(folder, database)


async def test_the_coldest_make_room(site: Site) -> None:
    """Above the limit the first stored blobs are deleted, rows and files, as few as needed."""
    filled = [await site.fill(name) for name in "abcde"]
    await site.fill("f", 1500)

    assert site.names() & {digest.encoded for digest in filled[:2]} == set()
    assert len(site.names()) == 4
    assert site.catalog.used() == 4500
    assert site.metrics.registry.get_sample_value("entrepot_evicted_bytes_total") == 2000


async def test_free_space_is_reserved_without_evicting(site: Site) -> None:
    """What would need an eviction is not reserved before its bytes have come."""
    for name in "abcd":
        await site.fill(name)
    digest = Digest.of(b"coming")

    assert not await site.room.reserve_free(digest, 2 * SIZE)
    assert len(site.names()) == 4
    assert await site.room.reserve_free(digest, SIZE)
    assert site.catalog.used() == LIMIT


async def test_what_is_read_stays(site: Site) -> None:
    """A blob that is being read stays, and the next blob is deleted instead."""
    filled = [await site.fill(name) for name in "abcde"]
    file = await site.store.open(filled[0])
    assert file is not None
    await site.fill("f")
    file.close()

    assert filled[0].encoded in site.names()
    assert filled[1].encoded not in site.names()


async def test_clock_that_is_set_back_refuses_nobody(site: Site) -> None:
    """What could not be freed once is tried again, also if the clock is an hour behind."""
    filled = [await site.fill(name) for name in "abcde"]
    files = [await site.store.open(each) for each in filled]
    wanted = Digest.of(b"f" * SIZE)
    with pytest.raises(StoreFull):
        await site.room.reserve(wanted, SIZE)
    for file in files:
        assert file is not None
        file.close()
    site.now -= 3600

    await site.room.reserve(wanted, SIZE)


@pytest.mark.parametrize("is_room_made", [True, False])
async def test_a_fill_does_not_evict_without_the_lock(
    site: Site, monkeypatch: pytest.MonkeyPatch, is_room_made: bool
) -> None:
    """A download that waits too long for the lock evicts nothing itself."""
    filled = [await site.fill(name) for name in "abcde"]
    wanted = Digest.of(b"f" * SIZE)

    @asynccontextmanager
    async def refuse(*_: object) -> AsyncIterator[None]:
        if is_room_made:
            await site.content.evictor.evict(SIZE)
        raise StoreError("questions", "another process has held the lock")
        yield

    monkeypatch.setattr(site.room._locks, "hold", refuse)
    if is_room_made:
        await site.room.reserve(wanted, SIZE)
    else:
        with pytest.raises(StoreError, match="has held the lock"):
            await site.room.reserve(wanted, SIZE)
    assert len(site.names()) == (4 if is_room_made else 5)
    assert site.catalog.list_reservations() == ({wanted: SIZE} if is_room_made else {})
    assert filled[4].encoded in site.names()


async def test_what_can_never_fit_is_refused(site: Site) -> None:
    """A blob that is larger than the limit is refused; the error says what to change."""
    with pytest.raises(StoreError, match=r"storage\.limit"):
        await site.fill("x", LIMIT + 1)
    assert site.catalog.list_reservations() == {}


async def test_what_can_never_fit_costs_nobody_anything(site: Site) -> None:
    """Nothing is evicted for a size that cannot fit, whether the size is true or not."""
    for name in "abc":
        await site.fill(name)
    for size in (LIMIT + 1, 2**62):
        with pytest.raises(StoreError):
            await site.room.reserve(Digest.of(b"x"), size)
    assert len(site.names()) == 3


async def test_fills_share_the_reserve(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Space that is reserved for other downloads and not written yet is not free."""
    monkeypatch.setattr(FreeSpace, "measure", lambda _: 2500)
    site.room = site.open_room(StorageSettings(limit=LIMIT, reserve=500, keep_pulled=0))
    writers = [site.ingests.take(Digest.of(name)) for name in (b"1", b"2")]
    for name in (b"1", b"2"):
        await site.room.reserve(Digest.of(name), SIZE)
    with pytest.raises(StoreError, match=r"storage\.reserve"):
        await site.room.reserve(Digest.of(b"3"), SIZE)
    for writer in writers:
        assert writer is not None
        writer.close()


async def test_above_the_limit_the_coldest_goes_however_large(site: Site) -> None:
    """If the limit was lowered, the background process evicts even large blobs."""
    await site.fill("a", 3000)
    await site.fill("b", 500)
    site.room = site.open_room(StorageSettings(limit=3000, reserve=0, keep_pulled=0))
    await site.tidy()
    assert site.catalog.used() == 500


async def test_the_file_system_keeps_its_reserve(site: Site) -> None:
    """If too little of the file system would stay free, nothing is reserved."""
    site.room = site.open_room(StorageSettings(limit=LIMIT, reserve=1 << 60))
    with pytest.raises(StoreError, match=r"storage\.reserve"):
        await site.fill("a")
    assert site.catalog.used() == 0


async def test_parts_that_nobody_writes_go_last(site: Site) -> None:
    """Partial files without a writer are deleted after the last blob."""
    left = Digest.of(b"left")
    await site.room.reserve(left, LIMIT)
    writer = site.ingests.take(left)
    assert writer is not None
    writer.append([b"y" * 4001])
    writer.close()
    await site.room.release_reservation(left)
    assert site.catalog.used() == 4000

    await site.fill("a", 2000)

    assert site.ingests.measure(left) == 0
    assert site.catalog.used() == 2000


async def test_parts_that_are_written_stay(site: Site) -> None:
    """A partial file with a writer is not deleted for another download."""
    busy = Digest.of(b"busy")
    writer = site.ingests.take(busy)
    assert writer is not None
    await site.room.reserve(busy, LIMIT)
    with pytest.raises(StoreError):
        await site.fill("a")
    writer.close()
    assert site.catalog.used() == LIMIT


async def test_fills_at_once_stay_within_the_limit(site: Site) -> None:
    """Many downloads that need space at once stay within the limit."""
    fills = [site.fill(name) for name in "abcdefghijkl"]
    ended = await asyncio.gather(*fills, return_exceptions=True)
    assert sum(isinstance(each, Digest) for each in ended) >= LIMIT / SIZE
    assert [each for each in ended if not isinstance(each, Digest | StoreFull)] == []
    assert site.catalog.used() <= LIMIT
    assert len(site.names()) * SIZE == site.catalog.used()


async def test_the_background_process_finishes_what_crashes_left(site: Site) -> None:
    """It completes deletions, and releases reservations of dead writers."""
    filled = await site.fill("a")
    await site.catalog.mark_deleting(filled)
    await site.room.reserve(Digest.of(b"dead"), 3000)

    await site.tidy()

    assert site.names() == set()
    assert site.catalog.used() == 0
    assert site.catalog.list_deleting() == []


async def test_the_background_process_keeps_a_little_ready(site: Site) -> None:
    """Above the high mark it evicts down to the low mark, and not further."""
    filled = [await site.fill(name, size) for name, size in (("a", 100), ("b", 50), ("c", 4850))]
    await site.tidy()
    assert site.catalog.used() == 4850
    assert site.names() == {filled[2].encoded}
    await site.fill("d", 150)
    await site.tidy()
    assert site.catalog.used() == 5000, "the coldest alone would be too much"


async def test_who_comes_during_a_deletion_reads_to_the_end(site: Site) -> None:
    """A blob that is being deleted can be opened, and an open blob can be read."""
    filled = await site.fill("a")
    with site.store.claim(filled) as is_free:
        assert is_free
        file = await site.store.open(filled)
        await site.store.delete(filled)
    assert isinstance(file, FileBody)
    assert os.pread(file.descriptor, SIZE, 0) == b"a" * SIZE
    file.close()


async def test_a_blob_is_read_while_its_writer_holds_it(site: Site) -> None:
    """A blob can be read before its ingest has ended."""
    digest = Digest.of(b"abc")
    writer = site.ingests.take(digest)
    assert writer is not None
    writer.append([b"abc"])
    await site.store.adopt(writer.seal())
    file = await site.store.open(digest)
    assert file is not None
    file.close()
    with site.store.claim(digest) as is_free:
        assert not is_free
    writer.close()


async def test_a_blob_that_died_unrecorded_is_counted(site: Site) -> None:
    """If a process dies before it records a blob, the reservation becomes the row."""
    digest = Digest.of(b"x" * SIZE)
    await site.room.reserve(digest, SIZE)
    writer = site.ingests.take(digest)
    assert writer is not None
    writer.append([b"x" * SIZE])
    await site.store.adopt(writer.seal())
    writer.close()

    await site.tidy()

    assert site.catalog.list_reservations() == {}
    assert [blob.digest for blob in await site.catalog.list_coldest()] == [digest]
    assert site.catalog.used() == SIZE
