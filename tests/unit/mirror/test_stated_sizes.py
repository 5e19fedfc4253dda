"""Laws of sizes that an upstream states: what it has not sent costs nobody an image."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from registry.catalog.database import Database
from registry.catalog.usage import UsageCatalog
from registry.content import ingest
from registry.errors import StoreFull
from registry.mirror.blob_bodies import DownloadingBlob
from registry.oci.digest import Digest
from registry.oci.names import Repository
from registry.settings.model import StorageSettings
from registry.store.data_folder import open_folder
from registry.tasks import Tasks
from registry.upstream.pacing import Pace
from registry.wiring.content import open_handles
from tests.fakes.source import MemorySource, MemoryTransfer, Tap
from tests.harness.process_parts import ProcessParts

KIB = 1024
LIMIT, STORED, STEP = 64 * KIB, 4 * KIB, 2 * KIB
REPOSITORY = Repository("docker.io", "library/a")
CONTENT = bytes(60 * KIB)
DIGEST = Digest.of(CONTENT)
SOON = 10.0


class Boaster(MemorySource):
    """An upstream that states another size of its blob than it has."""

    stated = len(CONTENT)

    def open_blob(
        self, repository: str, digest: Digest, size: int | None, *, pace: Pace | None = None
    ) -> MemoryTransfer:
        return super().open_blob(repository, digest, self.stated)


class Site(ProcessParts):
    """A nearly full store, and an upstream."""

    def __init__(self, path: Path, database: Database, tasks: Tasks) -> None:
        self.tap = Tap()
        self.tap.tells_size = False
        self.source = Boaster(self.tap, blobs={(REPOSITORY.name, str(DIGEST)): CONTENT})
        storage = StorageSettings(limit=LIMIT, reserve=0, keep_pulled=0)
        super().__init__(
            open_handles(open_folder(path)),
            database,
            storage=storage,
            tasks=tasks,
            sources={REPOSITORY.registry: self.source},
        )
        self.usage = UsageCatalog(database)

    async def fill(self) -> None:
        """Store as many blobs as fit."""
        for number in range(LIMIT // STORED):
            content = bytes([number]) * STORED
            writing = self.content.content.try_ingest(Digest.of(content))
            assert writing is not None
            async with writing:
                await writing.append([content], STORED)
                await writing.commit()

    async def count_stored(self) -> int:
        return len([digest async for digest, _ in self.store.scan()])

    async def begin(self) -> DownloadingBlob:
        async with asyncio.timeout(SOON):
            blob = await self.blobs.get(REPOSITORY, DIGEST)
        assert isinstance(blob, DownloadingBlob)
        return blob

    async def wait_until_landed(self, count: int) -> None:
        """Wait until `count` bytes came: half of a step may be appended at once, and not more."""
        for _ in range(int(SOON * 1000)):
            # The last byte is not written before the digest was checked.
            if self.blobs.measure(DIGEST) >= count - 1:
                return
            await asyncio.sleep(0.001)
        pytest.fail(f"{count} bytes have not landed")


@pytest.fixture
async def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    monkeypatch.setattr(ingest, "STEP", STEP)
    folder = open_folder(tmp_path)
    async with Database(folder.catalog) as database, Tasks() as tasks:
        site = Site(tmp_path, database, tasks)
        await site.fill()
        yield site


async def test_a_stated_size_evicts_nothing(site: Site) -> None:
    """Only what has arrived makes space for itself."""
    stored = await site.count_stored()
    site.tap.give(100)
    (await site.begin()).close()

    assert await site.count_stored() >= stored - 1, "one step needs one blob at most"
    assert site.usage.used() <= LIMIT


async def test_space_is_made_as_bytes_land(site: Site) -> None:
    """A blob that is sent evicts what it needs, and is stored."""
    site.tap.give(100)
    (await site.begin()).close()
    for landed in range(100, len(CONTENT), KIB):
        await site.wait_until_landed(landed)
        site.tap.give(KIB)
        assert site.usage.used() <= LIMIT
    for _ in range(1000):
        if not site.usage.list_reservations():
            break
        await asyncio.sleep(0.01)
    assert await site.store.stat(DIGEST) == len(CONTENT)
    assert site.usage.used() <= LIMIT
    assert not site.usage.list_reservations()


async def test_a_size_that_cannot_fit_is_refused_at_once(site: Site) -> None:
    """Nothing is evicted for a blob that could never be stored."""
    stored = await site.count_stored()
    site.source.stated = LIMIT + 1
    site.tap.give(100)
    blob = await site.begin()

    with pytest.raises(StoreFull):
        await blob.advance(0)
    blob.close()
    assert await site.count_stored() == stored
    assert not site.usage.list_reservations()
