"""Laws of memory that downloads no longer need."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from registry.mirror.free_memory import release_memory
from registry.store.data_folder import open_folder
from tests.unit.mirror.download_site import Site, finish


async def test_memory_is_given_back_after_the_last_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not while a download runs, which would take the memory again at once."""
    loop, released = asyncio.get_running_loop(), asyncio.Event()

    def release() -> None:  # in a thread
        loop.call_soon_threadsafe(released.set)

    monkeypatch.setattr("registry.mirror.downloads.CALM", 0.0)
    monkeypatch.setattr("registry.mirror.downloads.release_memory", release)
    async with AsyncExitStack() as stack:
        site = Site(open_folder(tmp_path), stack)
        downloads = await site.open_process()
        releasing = asyncio.create_task(downloads.keep_releasing())
        site.tap.allowance = 0
        download, _ = downloads.join(site.order())
        await asyncio.sleep(0.05)
        assert not released.is_set()

        site.tap.flow()
        await finish(download)
        async with asyncio.timeout(20):
            await released.wait()
        releasing.cancel()


def test_releasing_is_safe_at_any_time() -> None:
    """Also twice, and where the C library has no such function."""
    release_memory()
    release_memory()
