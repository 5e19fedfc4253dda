"""Laws of downloads, one at a time: two processes on one data folder, an upstream in memory."""

import asyncio
import errno
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from registry.errors import BlobUnknown, DigestMismatch, StoreError, UpstreamUnreachable
from registry.mirror.downloads import POLL
from registry.store.data_folder import open_folder
from registry.store.ingests import Ingests
from registry.store.partial import PartialWriter
from tests.fakes.source import ORIGIN
from tests.unit.mirror.download_site import CONTENT, DIGEST, Site, finish, open_follower


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        yield Site(open_folder(tmp_path), stack)


async def test_blob_is_brought_once(site: Site) -> None:
    """All who join in one process share a download; the blob is stored and recorded once."""
    downloads = await site.open_process()
    first, is_joined = downloads.join(site.order())
    second, is_joined_later = downloads.join(site.order())

    await finish(first)

    assert first is second
    assert (is_joined, is_joined_later) == (False, True)
    assert first.failure is None
    assert site.is_stored()
    assert site.space.recorded == [len(CONTENT)]
    assert site.tap.given == len(CONTENT)


async def test_two_processes_fetch_once(site: Site) -> None:
    """A download in another process follows the first one, and the upstream is asked once."""
    leader, follower = await open_follower(site)
    site.tap.flow()

    await finish(leader)
    await finish(follower)

    assert (leader.is_writer, follower.is_writer) == (True, False)
    assert (leader.failure, follower.failure) == (None, None)
    assert site.tap.given == len(CONTENT)


async def test_a_process_that_finds_the_blob_stored_is_not_its_writer(site: Site) -> None:
    """Readers then open the stored blob; they wait for no bytes in an empty file."""
    first, _ = (await site.open_process()).join(site.order())
    await finish(first)
    late, _ = (await site.open_process()).join(site.order())  # it looked before, so it asks
    await finish(late)

    assert (first.is_writer, late.is_writer) == (True, False)
    assert late.failure is None
    assert site.tap.given == len(CONTENT)


async def test_follower_takes_over(site: Site) -> None:
    """When the first one fails in the middle, the second goes on from what is there."""
    leader, follower = await open_follower(site)
    site.tap.give(100_000)
    async with asyncio.timeout(20):
        await follower.started()

    site.tap.cut()
    await finish(leader)
    site.tap.flow()
    await finish(follower)

    assert isinstance(leader.failure, UpstreamUnreachable)
    assert follower.failure is None
    assert site.is_stored()
    assert site.tap.given <= len(CONTENT) + 1, "only the byte held back was fetched twice"


async def test_follower_learns_of_a_refusal(site: Site) -> None:
    """When the upstream has no such blob, both processes say so: neither blames the disk."""
    leader, follower = await open_follower(site)
    site.source.blobs.clear()
    site.tap.cut()

    await finish(leader)
    await finish(follower)

    assert isinstance(follower.failure, BlobUnknown)
    assert list(site.folder.ingests.glob("*.part")) == []


async def test_left_part_is_resumed(site: Site) -> None:
    """What a dead process left is kept: only the rest is fetched."""
    site.leave(CONTENT[:100_000])
    download = await finish((await site.open_process()).join(site.order())[0])
    assert download.failure is None
    assert site.tap.given == len(CONTENT) - 99_999


async def test_sealed_part_is_adopted(site: Site) -> None:
    """A blob that was whole when its process died needs no upstream at all."""
    site.leave(CONTENT, is_sealed=True)
    site.tap.is_down = True

    download = await finish((await site.open_process()).join(site.order())[0])

    assert download.failure is None
    assert site.is_stored()
    assert site.tap.given == 0


async def test_wrong_part_left_behind_costs_one_download(site: Site) -> None:
    """Wrong bytes left behind are found at the end, nobody is suspected, and the next try works."""
    site.leave(bytes(100_000))
    downloads = await site.open_process()

    first = await finish(downloads.join(site.order())[0])
    await asyncio.sleep(0)  # a download that is over leaves the table a turn later
    second = await finish(downloads.join(site.order())[0])

    assert isinstance(first.failure, DigestMismatch)
    assert second.failure is None
    assert site.is_stored()


@pytest.mark.parametrize("left", [b"", CONTENT[:1000], CONTENT + b"more", bytes(len(CONTENT) + 1)])
@pytest.mark.parametrize("size", [None, len(CONTENT)])
async def test_unusable_part_is_begun_again(site: Site, left: bytes, size: int | None) -> None:
    """What is too long, or of unknown length, is begun again, and the blob is right."""
    if left:
        site.leave(left)
    download = await finish((await site.open_process()).join(site.order(size))[0])
    assert download.failure is None
    assert site.is_stored()


async def test_lying_upstream_is_found_out(site: Site) -> None:
    """Wrong bytes are not kept, and a repeat from a better upstream succeeds."""
    downloads = await site.open_process()
    site.tap.is_lying = True
    first = await finish(downloads.join(site.order())[0])
    await asyncio.sleep(0)
    assert isinstance(first.failure, DigestMismatch)
    assert not site.is_stored()

    site.tap.is_lying = False
    second = await finish(downloads.join(site.order())[0])

    assert second.failure is None
    assert site.is_stored()


async def test_lying_upstream_is_named_before_the_rejection(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who learns of wrong bytes may die at once: by then the accusation is already on disk."""
    named: list[Sequence[str]] = []
    reject = PartialWriter.reject

    def look(writer: PartialWriter) -> None:
        info = Ingests(site.folder.ingests).read_info(DIGEST)
        named.append(info.suspects if info is not None else ())
        reject(writer)

    monkeypatch.setattr(PartialWriter, "reject", look)
    site.tap.is_lying = True

    await finish((await site.open_process()).join(site.order())[0])

    assert [list(suspects) for suspects in named] == [[ORIGIN]]


async def test_nothing_is_left_in_the_spool(site: Site) -> None:
    """When a blob is stored, the spool holds nothing of it."""
    await finish((await site.open_process()).join(site.order())[0])
    assert list(site.folder.ingests.iterdir()) == []


async def test_followers_wake_nobody_without_news(site: Site) -> None:
    """A follower looks often; its readers are woken only when the file has changed."""
    _, follower = await open_follower(site)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(10 * POLL):
            await follower.changed()

    site.tap.give(1000)
    async with asyncio.timeout(20):
        await follower.changed()
        await follower.started()
    site.tap.flow()
    await finish(follower)


async def test_lock_is_let_go_when_the_part_cannot_be(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A spool from which nothing can be taken away does not keep its locks for ever."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    downloads, ingests = await site.open_process(), Ingests(site.folder.ingests)
    site.source.blobs.clear()
    with monkeypatch.context() as patched:
        patched.setattr("pathlib.Path.unlink", refuse)
        download = await finish(downloads.join(site.order())[0])

    assert isinstance(download.failure, StoreError)
    writer = ingests.take(DIGEST)
    assert writer is not None
    writer.close()


async def test_unrecorded_blob_is_stored_all_the_same(site: Site) -> None:
    """A catalog that refuses costs no blob: it is in its place, and the download succeeds."""
    site.space.refuses_records = True
    download = await finish((await site.open_process()).join(site.order())[0])

    assert download.failure is None
    assert site.is_stored()


async def test_download_that_is_over_is_joined_by_nobody(site: Site) -> None:
    """Who comes as a download has failed begins another at once."""
    downloads = await site.open_process()
    site.tap.is_down = True
    failed, _ = downloads.join(site.order())
    await finish(failed)
    site.tap.is_down = False

    second, is_joined = downloads.join(site.order())

    assert not is_joined
    assert (await finish(second)).failure is None


async def test_without_room_nothing_is_written(site: Site) -> None:
    """A fill that gets no room fails like one whose disk is full, and leaves no part."""
    site.space.refuses_space = True
    download = await finish((await site.open_process()).join(site.order())[0])

    assert isinstance(download.failure, StoreError)
    assert list(site.folder.ingests.iterdir()) == []


async def test_what_a_failed_fill_leaves_is_settled(site: Site) -> None:
    """A fill that ends without its blob says so, so that its room is not lost."""
    site.tap.allowance = 1000
    download, _ = (await site.open_process()).join(site.order())
    await download.started()
    site.tap.cut()
    await finish(download)

    assert site.space.released == [DIGEST]
