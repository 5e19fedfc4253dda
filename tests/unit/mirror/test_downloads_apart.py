"""Laws of downloads of one blob from several registries: none of them can hurt the others."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, closing
from pathlib import Path

import pytest

from registry.api.blobs import _read
from registry.content import ingest as ingest_module
from registry.content import writer_life
from registry.content.usage import list_downloads
from registry.errors import DigestMismatch
from registry.mirror import download_request
from registry.mirror.blob_bodies import DownloadingBlob, StoredBlob
from registry.mirror.cache_status import CacheStatus
from registry.oci.digest import Digest
from registry.oci.names import Repository
from registry.store.contract import FileBody
from registry.store.data_folder import DataFolder, open_folder
from registry.store.ingests import IngestInfo
from registry.wiring.content import open_handles
from tests.fakes.source import MemorySource, Tap
from tests.harness.process_parts import ProcessParts, open_parts

HONEST, HOSTILE = Repository("docker.io", "library/a"), Repository("evil.example", "a")
OTHER = Repository("docker.io", "library/b")  # another repository of the honest registry
CONTENT = bytes(range(256)) * 1000
DIGEST = Digest.of(CONTENT)
SOON = 10.0  # seconds


class Site:
    """An honest and a hostile upstream of one blob, and any number of processes before them."""

    def __init__(self, folder: DataFolder, stack: AsyncExitStack) -> None:
        self.folder, self._stack = folder, stack
        self.honest = MemorySource(
            Tap(), blobs={(each.name, str(DIGEST)): CONTENT for each in (HONEST, OTHER)}
        )
        self.hostile = MemorySource(Tap(), blobs={(HOSTILE.name, str(DIGEST)): CONTENT})

    async def open_process(self) -> ProcessParts:
        sources = {HONEST.registry: self.honest, HOSTILE.registry: self.hostile}
        return await open_parts(self._stack, self.folder, sources=sources)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        yield Site(open_folder(tmp_path), stack)


async def read(process: ProcessParts, repository: Repository) -> bytes:
    """Pull the blob as a client does."""
    async with asyncio.timeout(SOON):
        with closing(await process.blobs.get(repository, DIGEST)) as blob:
            if isinstance(blob, StoredBlob):
                assert isinstance(blob.body, FileBody)
                return os.pread(blob.body.descriptor, blob.size, 0)
            offset = await read_to_the_end(blob)
            return os.pread(blob.fileno(), offset, 0)


async def read_to_the_end(blob: DownloadingBlob) -> int:
    offset = 0
    while (written := await blob.advance(offset)) != offset:
        offset = written
    return offset


async def wait_until(condition: Callable[[], object]) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("waited in vain")


async def begin(process: ProcessParts, repository: Repository) -> DownloadingBlob:
    """Begin a pull, and wait for its first bytes."""
    async with asyncio.timeout(SOON):
        blob = await process.blobs.get(repository, DIGEST)
    assert isinstance(blob, DownloadingBlob)
    return blob


@pytest.mark.parametrize("given", [1, 1000, len(CONTENT) - 1])
@pytest.mark.parametrize("is_alone", [True, False])
async def test_nobody_waits_for_a_registry_that_drips(
    site: Site, given: int, is_alone: bool
) -> None:
    """An upstream that stops in the middle holds up only its own clients, also after they left."""
    first = await site.open_process()
    second = first if is_alone else await site.open_process()
    site.hostile.tap.give(given)
    (await begin(first, HOSTILE)).close()

    assert await read(second, HONEST) == CONTENT
    assert site.honest.tap.given == len(CONTENT)
    assert await read(first, HONEST) == CONTENT
    assert site.honest.tap.given == len(CONTENT), "it is stored now"


@pytest.mark.parametrize("is_alone", [True, False])
async def test_nobody_waits_for_the_first_byte_of_another_registry(
    site: Site, is_alone: bool
) -> None:
    """An upstream that accepts a request and sends nothing holds up only its own clients."""
    first = await site.open_process()
    second = first if is_alone else await site.open_process()
    site.hostile.tap.allowance = 0
    asking = asyncio.create_task(first.blobs.get(HOSTILE, DIGEST))
    await wait_until(lambda: any(each.repository for each in list_downloads(first.ingests)))

    assert await read(second, HONEST) == CONTENT
    asking.cancel()


async def test_wrong_bytes_reach_only_those_who_asked_for_them(site: Site) -> None:
    """While one upstream sends wrong bytes, the clients of another one get the right ones."""
    process = await site.open_process()
    site.hostile.tap.is_lying = True
    site.hostile.tap.give(1000)
    hostile = await begin(process, HOSTILE)

    reading = asyncio.create_task(read(process, HONEST))
    await asyncio.sleep(0)
    site.hostile.tap.flow()

    assert await reading == CONTENT
    with closing(hostile), pytest.raises(DigestMismatch):
        await read_to_the_end(hostile)


async def test_bytes_of_another_registry_are_not_continued(site: Site) -> None:
    """What a hostile upstream has left on the disk does not get into another download."""
    writer = open_handles(site.folder).ingests.take(DIGEST)
    assert writer is not None
    writer.append([bytes(100_000)])
    writer.close()
    process = await site.open_process()
    process.ingests.write_info(DIGEST, IngestInfo(len(CONTENT), str(HOSTILE), "there", 1.0))

    assert await read(process, HONEST) == CONTENT
    assert site.honest.tap.given == len(CONTENT)


async def test_one_registry_is_asked_once(site: Site) -> None:
    """Two repositories of one registry, in two processes, share the download beside another's."""
    first, second = await site.open_process(), await site.open_process()
    site.hostile.tap.give(1000)
    (await begin(first, HOSTILE)).close()
    site.honest.tap.give(1000)

    mine, joined = await begin(first, HONEST), await begin(second, OTHER)
    site.honest.tap.flow()
    got = [await read(second, OTHER), await read(first, HONEST)]

    assert (mine.origin, joined.origin) == (CacheStatus.MISS, CacheStatus.JOINED)
    assert got == [CONTENT, CONTENT]
    assert site.honest.tap.given == len(CONTENT)
    mine.close()
    joined.close()


@pytest.mark.parametrize("given", [0, 1000])
async def test_a_repository_that_brings_nothing_is_not_waited_for(
    site: Site, monkeypatch: pytest.MonkeyPatch, given: int
) -> None:
    """If the download for another repository of the registry stops, one's own is begun.

    The signs of life of its writer do not count as bytes.
    """
    monkeypatch.setattr(download_request, "STALLED", 0.1)
    for module in (writer_life, ingest_module):
        monkeypatch.setattr(module, "INTERVAL", 0.01)
    process = await site.open_process()
    site.honest.tap.give(given)
    asking = asyncio.create_task(process.blobs.get(OTHER, DIGEST))
    await wait_until(lambda: list_downloads(process.ingests))
    await wait_until(lambda: process.ingests.idle(DIGEST) > 2 * download_request.STALLED)
    second = asyncio.create_task(process.blobs.get(HONEST, DIGEST))
    await wait_until(
        lambda: [each.digest for each in list_downloads(process.ingests)] == [DIGEST, DIGEST]
    )
    site.honest.tap.flow()
    for blob in await asyncio.gather(asking, second):
        blob.close()


async def test_nothing_is_left_of_two_downloads(site: Site) -> None:
    """After both have ended, there is one blob, and no byte is reserved or left."""
    process = await site.open_process()
    site.hostile.tap.give(1000)
    hostile = await begin(process, HOSTILE)
    assert await read(process, HONEST) == CONTENT
    site.hostile.tap.flow()
    reservations = process.content.space._catalog.list_reservations
    # A reservation ends in a thread, with the row of its blob. Its side file is deleted only then.
    await wait_until(lambda: not reservations() and not any(site.folder.ingests.iterdir()))
    hostile.close()

    assert process.content.space._catalog.used() == len(CONTENT)
    assert list(site.folder.ingests.iterdir()) == []


async def collect(blob: DownloadingBlob) -> bytes:
    """Read a blob as the answer to a client does."""
    content = b""
    async with asyncio.timeout(SOON):
        async for piece in _read(blob, 0, len(CONTENT)):
            if isinstance(piece, bytes):
                content += piece
            else:
                descriptor, start, end = piece
                content += os.pread(descriptor, end - start, start)
    return content


async def begin_to_follow(site: Site) -> tuple[DownloadingBlob, ProcessParts]:
    """Begin a pull that follows another process, from a registry that stops after 1000 bytes."""
    first, second = await site.open_process(), await site.open_process()
    site.hostile.tap.give(1000)
    (await begin(first, HOSTILE)).close()
    return await begin(second, HOSTILE), second


async def test_who_follows_gets_the_rest_from_the_store(site: Site) -> None:
    """If another registry brings the blob, clients of a slow one need not wait for it."""
    follower, process = await begin_to_follow(site)
    assert await read(process, HONEST) == CONTENT

    assert await collect(follower) == CONTENT
    follower.close()
    assert site.hostile.tap.given == 1000
    assert process.metrics.registry.get_sample_value("entrepot_passed_through_total") == 0


async def test_wrong_bytes_are_not_continued_from_the_store(site: Site) -> None:
    """A client that has bytes of a registry that lies does not get the end of the right blob."""
    site.hostile.tap.is_lying = True
    follower, process = await begin_to_follow(site)
    assert await read(process, HONEST) == CONTENT
    site.hostile.tap.flow()

    with closing(follower), pytest.raises(DigestMismatch):
        await collect(follower)


async def test_an_own_partial_file_is_gone_on_with(site: Site) -> None:
    """A download beside another one continues after a fault from its bytes."""
    process = await site.open_process()
    site.hostile.tap.give(1000)
    (await begin(process, HOSTILE)).close()
    site.honest.tap.give(100_000)
    (await begin(process, HONEST)).close()
    await wait_until(lambda: site.honest.tap.given == 100_000)
    site.honest.tap.cut()
    await asyncio.sleep(0.1)
    site.honest.tap.flow()

    assert await read(process, HONEST) == CONTENT
    assert site.honest.tap.given <= len(CONTENT) + 1
