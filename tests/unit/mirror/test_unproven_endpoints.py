"""Laws of endpoints that have to send a right blob before anything of them is sent to clients."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from registry.mirror.download import Download
from registry.store.data_folder import open_folder
from tests.unit.mirror.download_site import CONTENT, Site, finish, open_follower


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        yield Site(open_folder(tmp_path), stack)


async def await_bytes(site: Site, count: int) -> None:
    for _ in range(2000):
        if any(path.stat().st_size >= count for path in site.parts()):
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the bytes did not come")


@pytest.mark.parametrize("is_lying", [False, True])
async def test_nothing_is_sent_before_the_digest_was_right(site: Site, is_lying: bool) -> None:
    """Readers of both processes wait, though most bytes are on the disk; then they have them."""
    site.tap.needs_proof = True
    site.tap.is_lying = is_lying
    leader, follower = await open_follower(site)
    site.tap.give(len(CONTENT) - 1)
    await await_bytes(site, len(CONTENT) - 1000)
    for _ in range(10):
        await asyncio.sleep(0.01)

    assert [each.has_bytes for each in (leader, follower)] == [False, False]

    site.tap.flow()
    downloads: list[Download] = [await finish(leader), await finish(follower)]
    failed = [each.failure is not None for each in downloads]
    assert failed[0] == is_lying
    assert site.is_stored() != is_lying


async def test_proven_endpoints_are_sent_at_once(site: Site) -> None:
    """If the settings want no proof, or there is one, readers begin with the first bytes."""
    leader, follower = await open_follower(site)
    site.tap.give(1000)
    async with asyncio.timeout(20):
        await leader.started()
        await follower.started()
