"""The background process finishes interrupted work while other processes go on with it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from registry.catalog.database import Database
from registry.catalog.usage import UsageCatalog
from registry.errors import UpstreamError
from registry.mirror.download_request import DownloadRequest
from registry.oci.digest import Digest
from registry.oci.names import Repository
from registry.settings.model import StorageSettings
from registry.store.data_folder import DataFolder, open_folder
from registry.store.partial import PartialWriter
from registry.tasks import Tasks
from registry.wiring.content import open_handles
from tests.fakes.source import MemorySource, Tap
from tests.harness.process_parts import ProcessParts

REPOSITORY = Repository("docker.io", "library/a")
CONTENT = b"deleted, and downloaded again" * 30
DIGEST = Digest.of(CONTENT)
SIZE = len(CONTENT)
LIMIT = 10 * SIZE
FIRST = Digest.parse("sha256:" + 64 * "0")  # the first in the order of digests
Step = Callable[[], Awaitable[object]]


class InterruptedCatalog(UsageCatalog):
    """A catalog in which another process acts just before the background process does."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.before_deletion: Step | None = None
        self.before_release: Step | None = None

    async def mark_deleted(self, digest: Digest) -> None:
        step, self.before_deletion = self.before_deletion, None
        if step is not None:
            await step()
        await super().mark_deleted(digest)

    async def release_reservation(self, digest: Digest, size: int) -> int:
        step, self.before_release = self.before_release, None
        if step is not None:
            await step()
        return await super().release_reservation(digest, size)


class Site(ProcessParts):
    """A data folder, its background process, and the other processes, which use `others`."""

    def __init__(self, folder: DataFolder, database: Database, tasks: Tasks) -> None:
        storage = StorageSettings(limit=LIMIT, reserve=0, keep_pulled=0)
        super().__init__(open_handles(folder), database, storage=storage, tasks=tasks)
        self.successor: PartialWriter | None = None
        self.background, self.others = InterruptedCatalog(database), UsageCatalog(database)
        self.content._usage_catalog = self.background

    async def mark_deleting(self, digest: Digest, size: int) -> None:
        """Leave what a crash in an eviction leaves: the file is deleted, and a row says so."""
        await self.others.record(digest, size, 0.0)
        await self.others.mark_deleting(digest)

    async def succeed(self) -> None:
        """Become the next writer and reserve all bytes; do nothing while the file has a writer."""
        writer = None if self.successor else self.ingests.take(DIGEST)
        if writer is not None:
            self.successor = writer
            await self.others.reserve(DIGEST, SIZE, LIMIT)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    folder = open_folder(tmp_path)
    async with Database(folder.catalog) as database, Tasks() as tasks:
        opened = Site(folder, database, tasks)
        yield opened
        if opened.successor is not None:
            opened.successor.close()


async def test_a_blob_that_was_stored_again_stays(site: Site) -> None:
    """A blob that is downloaded again while its deletion is completed keeps its file and row."""
    await site.mark_deleting(FIRST, 1)
    await site.mark_deleting(DIGEST, SIZE)
    writers = []

    async def download_again() -> None:
        await site.others.mark_deleted(DIGEST)
        await site.others.reserve(DIGEST, SIZE, LIMIT)
        writer = site.ingests.take(DIGEST)
        assert writer is not None
        writers.append(writer)
        writer.append([CONTENT])
        await site.store.adopt(writer.seal())

    site.background.before_deletion = download_again
    await site.content.space.finish_interrupted()
    await site.others.record(DIGEST, SIZE, 1.0)  # the next step of the download
    writers.pop().close()

    assert site.others.find_size(DIGEST) == SIZE
    assert await site.store.stat(DIGEST) == SIZE
    assert site.others.used() == SIZE


async def test_a_new_writer_keeps_its_reservation(site: Site) -> None:
    """A writer that continues the file of a dead process keeps the space that it reserved."""
    dead = site.ingests.take(DIGEST)
    assert dead is not None
    await site.others.reserve(DIGEST, SIZE, LIMIT)
    dead.append([CONTENT[: SIZE // 3]])
    dead.close()

    site.background.before_release = site.succeed
    await site.content.space.finish_interrupted()
    assert site.background.before_release is None
    await site.succeed()

    assert site.others.used() == SIZE


async def test_a_failed_download_leaves_the_reservation_of_the_next(site: Site) -> None:
    """A writer that takes over a partial file keeps its reservation when the former one ends."""
    tap = Tap()
    tap.give(SIZE // 3)
    source = MemorySource(tap, blobs={(REPOSITORY.name, str(DIGEST)): CONTENT})
    download, _ = site.downloads.join(DownloadRequest(REPOSITORY, DIGEST, SIZE, source, 1))
    await download.started()
    site.background.before_release = site.succeed
    tap.cut()
    with pytest.raises(UpstreamError):
        await download.ended()
    assert site.background.before_release is None
    await site.succeed()

    assert site.others.used() == SIZE


async def test_unused_reserved_space_is_free_for_the_next_download(site: Site) -> None:
    """Space that a download reserved and did not use goes to the next download at once."""
    await site.others.reserve(FIRST, LIMIT - SIZE, LIMIT)

    await site.content.space.reserve(DIGEST, 2 * SIZE)

    assert site.others.used() == 2 * SIZE
