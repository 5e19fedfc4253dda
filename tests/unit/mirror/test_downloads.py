"""Laws of downloads, one at a time: two processes on one data folder, an upstream in memory."""

import asyncio
import errno
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from registry.errors import (
    BlobUnknown,
    DigestMismatch,
    DownloadCrashed,
    StoreError,
    UpstreamUnreachable,
)
from registry.mirror.download import POLL
from registry.store.data_folder import open_folder
from registry.store.ingests import Ingests
from registry.store.partial import PartialWriter
from registry.store.rejected import RejectedBytes
from tests.fakes.source import ORIGIN, MemorySource
from tests.unit.mirror.download_site import CONTENT, DIGEST, Site, finish, open_follower


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        yield Site(open_folder(tmp_path), stack)


async def test_blob_is_brought_once(site: Site) -> None:
    """All requests of one process share a download; the blob is stored and recorded once."""
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
    """If the first process fails in the middle, the second continues from the bytes on disk."""
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
    """If the upstream does not have the blob, both processes report this error."""
    leader, follower = await open_follower(site)
    site.source.blobs.clear()
    site.tap.cut()

    await finish(leader)
    await finish(follower)

    assert isinstance(follower.failure, BlobUnknown)
    assert list(site.folder.ingests.glob("*.part")) == []


async def test_left_part_is_resumed(site: Site) -> None:
    """The bytes that a dead process has written are kept: only the rest is fetched."""
    site.leave(CONTENT[:100_000])
    download = await finish((await site.open_process()).join(site.order())[0])
    assert download.failure is None
    assert site.tap.given == len(CONTENT) - 99_999


async def test_sealed_part_is_adopted(site: Site) -> None:
    """A blob that was whole when its process died is stored without the upstream."""
    site.leave(CONTENT, is_sealed=True)
    site.tap.is_down = True

    download = await finish((await site.open_process()).join(site.order())[0])

    assert download.failure is None
    assert site.is_stored()
    assert site.tap.given == 0


async def test_wrong_part_left_behind_costs_one_download(site: Site) -> None:
    """Wrong bytes on disk fail one download; no endpoint is suspected."""
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
    """A partial file that is too long, or of unknown size, is begun again."""
    if left:
        site.leave(left)
    download = await finish((await site.open_process()).join(site.order(size))[0])
    assert download.failure is None
    assert site.is_stored()


async def test_lying_upstream_is_found_out(site: Site) -> None:
    """Wrong bytes are not stored, and a second try at a better upstream succeeds."""
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
    """The suspects are on disk before readers see that the bytes are wrong."""
    named: list[Sequence[str]] = []
    begin_again = PartialWriter.begin_again

    def look(writer: PartialWriter) -> RejectedBytes:
        info = Ingests(site.folder.ingests).read_info(DIGEST)
        named.append(info.suspects if info is not None else ())
        return begin_again(writer)

    monkeypatch.setattr(PartialWriter, "begin_again", look)
    site.tap.is_lying = True

    await finish((await site.open_process()).join(site.order())[0])

    assert [list(suspects) for suspects in named] == [[ORIGIN]]


async def test_nothing_is_left_in_the_spool(site: Site) -> None:
    """After a blob is stored, the folder of partial files has nothing of it."""
    await finish((await site.open_process()).join(site.order())[0])
    assert list(site.folder.ingests.iterdir()) == []


async def test_followers_wake_nobody_without_news(site: Site) -> None:
    """Readers of a follower are notified only if the file has changed."""
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
    """If a partial file cannot be deleted, its lock is still released."""

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
    """If the catalog refuses, the blob is stored, and the download succeeds."""
    site.space.refuses_records = True
    download = await finish((await site.open_process()).join(site.order())[0])

    assert download.failure is None
    assert site.is_stored()


async def test_download_that_is_over_is_joined_by_nobody(site: Site) -> None:
    """A request that comes when a download has failed begins another one."""
    downloads = await site.open_process()
    site.tap.is_down = True
    failed, _ = downloads.join(site.order())
    await finish(failed)
    site.tap.is_down = False

    second, is_joined = downloads.join(site.order())

    assert not is_joined
    assert (await finish(second)).failure is None


async def test_without_room_nothing_is_written(site: Site) -> None:
    """Without space a download fails like on a full disk, and leaves no partial file."""
    site.space.refuses_space = True
    download = await finish((await site.open_process()).join(site.order())[0])

    assert isinstance(download.failure, StoreError)
    assert list(site.folder.ingests.iterdir()) == []


async def test_what_a_failed_fill_leaves_is_settled(site: Site) -> None:
    """A failed download reduces its reservation to its partial file."""
    site.tap.allowance = 1000
    download, _ = (await site.open_process()).join(site.order())
    await download.started()
    site.tap.cut()
    await finish(download)

    assert site.space.released == [DIGEST]


async def test_a_crash_has_a_name(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake of this program is not reported as a refusal of the disk."""

    def crash(*_: object) -> None:
        raise RuntimeError("a mistake")

    monkeypatch.setattr(MemorySource, "open_blob", crash)
    download, _ = (await site.open_process()).join(site.order())

    with pytest.raises(DownloadCrashed):
        await download.started()
    assert list(site.folder.ingests.glob("*.part")) == []
