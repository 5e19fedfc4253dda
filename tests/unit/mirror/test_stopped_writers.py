"""Laws of downloads whose writer or disk has stopped: nobody waits for ever."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from registry.content import ingest as ingest_module
from registry.content import writer_life
from registry.content.ingest import Ingest
from registry.errors import StoreError
from registry.mirror import download as download_module
from registry.store.data_folder import open_folder
from registry.store.partial import PartialWriter
from registry.upstream.download_budget import DownloadBudget
from tests.harness.deadline import await_truth
from tests.unit.mirror.download_site import CONTENT, DIGEST, Site, finish, open_follower


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        yield Site(open_folder(tmp_path), stack)


async def test_a_writer_that_gives_no_sign_of_life_is_not_waited_for(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Readers of a follower get the rest from the upstream if the writing process has stopped."""
    monkeypatch.setattr(download_module, "WRITER_SILENCE", 0.3)

    async def stop(_: Ingest) -> bool:
        await asyncio.sleep(20)
        return True

    monkeypatch.setattr(Ingest, "show_life", stop)
    _, follower = await open_follower(site)

    await finish(follower)

    assert isinstance(follower.failure, StoreError)
    assert "stopped" in follower.failure.why


async def test_a_slow_upstream_is_waited_for(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """While no bytes come, the writer gives signs of life, and no follower loses patience."""
    monkeypatch.setattr(download_module, "WRITER_SILENCE", 0.3)
    monkeypatch.setattr(writer_life, "INTERVAL", 0.05)
    leader, follower = await open_follower(site)

    await asyncio.sleep(0.6)

    assert not follower.is_over
    site.tap.flow()
    await finish(leader)
    await finish(follower)
    assert (leader.failure, follower.failure) == (None, None)
    assert site.tap.given == len(CONTENT)


async def test_a_disk_that_takes_no_bytes_releases_the_readers(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The readers of the writer itself get the rest from the upstream; later the blob is stored."""
    monkeypatch.setattr(writer_life, "INTERVAL", 0.05)
    monkeypatch.setattr(ingest_module, "WRITER_SILENCE", 0.1)
    answers = threading.Event()
    append = PartialWriter.append

    def hang(writer: PartialWriter, chunks: Iterable[bytes]) -> None:
        if threading.current_thread() is not threading.main_thread():
            answers.wait(20)
        append(writer, chunks)

    monkeypatch.setattr(PartialWriter, "append", hang)
    download, _ = (await site.open_process()).join(site.order())
    await finish(download)
    failure = download.failure
    answers.set()
    await asyncio.to_thread(await_truth, site.is_stored)

    assert isinstance(failure, StoreError)
    assert "does not answer" in failure.why


async def test_who_may_not_take_over_yet_keeps_the_bytes(site: Site) -> None:
    """A follower of a writer that ends waits for its turn, and then goes on from the bytes."""
    site.tap.allowance = 0
    leader, _ = (await site.open_process()).join(site.order())
    site.tap.give(100_000)
    async with asyncio.timeout(20):
        await leader.started()
    process = await site.open_process()
    process.budget = DownloadBudget(32 * 1024 * 1024, 1)
    follower, _ = process.join(site.order())
    async with asyncio.timeout(20):
        await follower.started()
    other = process.budget.open_turn(lambda: True, 1, "other.example")
    assert other.begin()
    site.tap.cut()
    await finish(leader)
    for _ in range(2000):
        if follower._turn.is_waiting:
            break
        await asyncio.sleep(0.01)

    assert process._content.ingests.measure(DIGEST) == 99_999
    site.tap.flow()
    other.end()
    await finish(follower)
    assert follower.failure is None
