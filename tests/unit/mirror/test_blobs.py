"""Laws of blobs for many requests: one question, and no failure of another repository."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import pytest

from registry.catalog.database import Database
from registry.errors import (
    BlobUnknown,
    StoreError,
    TooManyDownloads,
    UpstreamLoop,
    UpstreamUnreachable,
)
from registry.mirror.blob_bodies import DownloadingBlob
from registry.mirror.download import Download
from registry.mirror.download_request import DownloadRequest
from registry.oci.byte_ranges import Span
from registry.oci.digest import Digest
from registry.oci.names import Repository
from registry.store.data_folder import DataFolder, open_folder
from registry.store.ingests import IngestInfo, Ingests
from registry.tasks import Tasks
from registry.upstream.download_budget import DownloadBudget
from registry.upstream.via import ViaWriter, make_name, names_passed
from registry.wiring.content import open_handles
from tests.fakes.source import MemorySource, Tap
from tests.fakes.space import AmpleSpace
from tests.harness.process_parts import ProcessParts

HERE, THERE = Repository("docker.io", "library/a"), Repository("quay.io", "team/a")
CONTENT = bytes(range(256)) * 1000
DIGEST = Digest.of(CONTENT)
MISSING_FOR = 10.0


class CountingSource(MemorySource):
    """An upstream that takes its time for a HEAD, and counts them."""

    heads = 0

    async def head_blob(self, repository: str, digest: Digest) -> int | None:
        self.heads += 1
        await asyncio.sleep(0)
        return await super().head_blob(repository, digest)


class Site(ProcessParts):
    """Two upstreams that have the same blob, and one process before them."""

    def __init__(self, folder: DataFolder, database: Database, tasks: Tasks) -> None:
        self.here = CountingSource(Tap(), blobs={(HERE.name, str(DIGEST)): CONTENT})
        self.there = CountingSource(Tap(), blobs={(THERE.name, str(DIGEST)): CONTENT})
        super().__init__(
            open_handles(folder),
            database,
            space=AmpleSpace(),
            tasks=tasks,
            sources={HERE.registry: self.here, THERE.registry: self.there},
            missing_for=MISSING_FOR,
        )


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    folder = open_folder(tmp_path)
    async with Database(folder.catalog) as database, Tasks() as tasks:
        yield Site(folder, database, tasks)


async def wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("waited in vain")


async def read_all(blob: object) -> int:
    """Read a blob that is being downloaded to its end; return how many bytes it had."""
    assert isinstance(blob, DownloadingBlob)
    offset = 0
    with closing(blob):
        while (written := await blob.advance(offset)) != offset:
            offset = written
    return offset


async def test_a_crowd_asks_once(site: Site) -> None:
    """Many requests for a blob that is not stored send one question to the upstream."""
    site.here.blobs.clear()
    answers = await asyncio.gather(
        *(site.blobs.stat(HERE, DIGEST) for _ in range(50)), return_exceptions=True
    )
    assert {BlobUnknown} == {type(answer) for answer in answers}
    assert site.here.heads == 1


async def test_an_absent_blob_is_remembered_for_a_while(site: Site) -> None:
    """Within `missing_for` the upstream is not asked again, and afterwards it is."""
    content = dict(site.here.blobs)
    site.here.blobs.clear()
    for _ in range(3):
        with pytest.raises(BlobUnknown):
            await site.blobs.stat(HERE, DIGEST)
    assert site.here.heads == 1

    site.here.blobs.update(content)
    site.now += MISSING_FOR

    assert len(CONTENT) == await site.blobs.stat(HERE, DIGEST)


async def test_absence_is_of_one_repository(site: Site) -> None:
    """If one upstream does not have a blob, another upstream is still asked."""
    site.here.blobs.clear()
    with pytest.raises(BlobUnknown):
        await site.blobs.stat(HERE, DIGEST)
    assert len(CONTENT) == await site.blobs.stat(THERE, DIGEST)


async def test_joiners_do_not_inherit_a_failure(site: Site) -> None:
    """If the download for one repository fails, another repository tries its own."""
    site.here.tap.allowance = 0
    first = asyncio.create_task(site.blobs.get(HERE, DIGEST))
    async with asyncio.timeout(20):
        await wait_until(lambda: any(site.folder.ingests.glob("*.part")))
        second = asyncio.create_task(site.blobs.get(THERE, DIGEST))
        await wait_until(lambda: site.there.heads > 0)
        for _ in range(200):
            await asyncio.sleep(0)
        site.here.tap.cut()

        with pytest.raises(UpstreamUnreachable):
            await first
        assert len(CONTENT) == await read_all(await second)


async def test_a_disk_that_refuses_leaves_nothing_open(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the store cannot open a blob, no descriptor stays open."""
    calls = iter([None, StoreError("blobs", "no descriptors left")] * 20)

    async def open_body(_: Digest) -> None:
        failure = next(calls)
        if failure is not None:
            raise failure

    monkeypatch.setattr(site.store, "open", open_body)
    writer = Ingests(site.folder.ingests).take(DIGEST)  # that of the other process
    assert writer is not None
    writer.append([CONTENT[:1000]])
    site.ingests.write_info(DIGEST, IngestInfo(len(CONTENT), str(HERE), "there", site.now))
    refusals = []  # kept, with their frames: nothing is closed by being forgotten
    for _ in range(20):
        with pytest.raises(StoreError) as refusal:
            await site.blobs.get(HERE, DIGEST)
        refusals.append(refusal.value)
    async with asyncio.timeout(20):  # what a thread is closing just now is not left behind
        # What stays open are the descriptors of the writer, and of the download that follows it.
        await wait_until(lambda: len(list_open_files(site.folder.ingests)) == 2)
    writer.close()


@pytest.mark.parametrize(
    "error", [StoreError("catalog.db", "full"), OSError(30, "Read-only file system")]
)
async def test_a_damaged_blob_that_cannot_be_moved_is_not_served(
    site: Site, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Where a file of the wrong size cannot be quarantined, the blob comes from the upstream.

    The file does not stay open.
    """
    leave_a_damaged_blob(site, monkeypatch, error)
    with closing(await site.blobs.get(HERE, DIGEST)) as blob:
        assert isinstance(blob, DownloadingBlob)
        with pytest.raises(StoreError):
            await blob.advance(0)
        passed = [chunk async for chunk in blob.pass_through(Span(0, 0), len(CONTENT))]

    assert b"".join(passed) == CONTENT
    count = site.metrics.registry.get_sample_value(
        "entrepot_downloaded_bytes_total", {"upstream": HERE.registry}
    )
    assert count == len(CONTENT)
    assert list_open_files(site.folder.blobs) == []


async def get_with(site: Site, via: str) -> None:
    """Get the blob for a request with this `Via`, and read it to its end."""
    ViaWriter(make_name()).read([via])
    await read_all(await site.blobs.get(HERE, DIGEST))


async def test_names_that_a_client_invents_hurt_nobody_else(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A question or download that fails for the names in `Via` is not that of other requests."""
    invented = f"1.1 {make_name()}"

    asked = site.here.head_blob

    async def ask(repository: str, digest: Digest) -> int | None:
        size = await asked(repository, digest)
        if names_passed():  # the upstream is a mirror that takes them for a circle
            raise UpstreamLoop(HERE.registry)
        return size

    monkeypatch.setattr(site.here, "head_blob", ask)
    ways = (invented, "", invented, "")
    results = await asyncio.gather(
        *(asyncio.create_task(get_with(site, each)) for each in ways), return_exceptions=True
    )
    assert [type(each) for each in results] == [UpstreamLoop, type(None)] * 2
    assert site.here.heads == 2


async def test_downloads_with_invented_names_are_taken_over(site: Site) -> None:
    """One download for each `Via`; they follow each other, and the blob is fetched once."""
    site.here.tap.allowance = 0
    found: list[tuple[Download, bool]] = []

    async def join(via: str) -> None:
        ViaWriter(make_name()).read([via])
        request = DownloadRequest(HERE, DIGEST, len(CONTENT), site.here, 1)
        found.append(site.downloads.join(request))

    for via in (name := f"1.1 {make_name()}", name, ""):
        await asyncio.create_task(join(via))
    assert [is_joined for _, is_joined in found] == [False, True, False]
    site.here.tap.flow()
    async with asyncio.timeout(20):
        for download, _ in found:
            await download.ended()
    assert site.here.tap.given == len(CONTENT)


def leave_a_damaged_blob(site: Site, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Leave a file of the wrong size in the place of the blob, which cannot be moved away."""
    encoded = DIGEST.encoded
    path = site.folder.blobs / "sha256" / encoded[:2] / encoded
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT[:-1])

    async def refuse(*_: object) -> bool:
        raise error

    monkeypatch.setattr(AmpleSpace, "check_size", refuse)


async def test_passing_through_needs_a_connection_of_the_budget(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blobs that the disk refuses take no more connections than downloads may have."""
    monkeypatch.setattr("registry.mirror.blob_bodies.TURN_WAIT", 0.02)
    site.downloads.budget = DownloadBudget(1024 * 1024, 1)

    leave_a_damaged_blob(site, monkeypatch, StoreError("catalog.db", "full"))
    first, second = [await site.blobs.get(HERE, DIGEST) for _ in range(2)]
    assert isinstance(first, DownloadingBlob)
    assert isinstance(second, DownloadingBlob)
    with closing(first), closing(second):
        async with contextlib.aclosing(first.pass_through(Span(0, 0), len(CONTENT))) as chunks:
            assert await anext(chunks)
            with pytest.raises(TooManyDownloads):
                await anext(second.pass_through(Span(0, 0), len(CONTENT)))
        passed = [chunk async for chunk in second.pass_through(Span(0, 0), len(CONTENT))]
    assert b"".join(passed) == CONTENT


def list_open_files(folder: Path) -> list[str]:
    """The files under this folder that this process holds open (proc(5), ``/proc/pid/fd``)."""
    held = []
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            held.append(str(entry.readlink()))
    return [path for path in held if Path(path).is_relative_to(folder)]
