"""Laws of endpoints that have to send a right blob before anything of them is sent to clients."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from registry.logs import get_logger
from registry.mirror.announcement import Announcement
from registry.mirror.download import Download
from registry.mirror.download_request import DownloadRequest, PartChoice
from registry.mirror.rest import Rest
from registry.oci.digest import Digest
from registry.store.data_folder import open_folder
from registry.tasks import Tasks
from registry.wiring.content import open_handles
from tests.fakes.endpoints import SimulatedDownload, SimulatedEndpoint
from tests.fakes.source import MemorySource, Tap
from tests.fakes.space import AmpleSpace
from tests.harness.process_parts import ProcessParts
from tests.harness.turns import open_turn
from tests.unit.mirror.download_site import CONTENT, REPOSITORY, Site, finish, open_follower

MIB = 1024 * 1024


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


@pytest.mark.parametrize("first", ["proven", "new"])
async def test_a_download_goes_on_as_it_began(tmp_path: Path, first: str) -> None:
    """After a pause, proven bytes are followed by bytes of proven endpoints only."""
    content = CONTENT * (4 * MIB // len(CONTENT) + 1)
    endpoints = [SimulatedEndpoint("new"), SimulatedEndpoint("proven")]
    download = SimulatedDownload(content, endpoints, unproven=["new"])
    request = DownloadRequest(REPOSITORY, Digest.of(content), len(content), MemorySource(Tap()), 1)
    starts: list[int | None] = []

    async with AsyncExitStack() as stack:
        tasks = await stack.enter_async_context(Tasks())
        handles = open_handles(open_folder(tmp_path))
        content_parts = ProcessParts(handles, space=AmpleSpace(), tasks=tasks).content.content
        opened = content_parts.try_ingest(request.digest)
        assert opened is not None
        ingest = await stack.enter_async_context(opened)
        await ingest.append([content[:MIB]])
        ingest.write_info(request.describe(download, 0.0, (), [(MIB, [first])]))
        told = Announcement(ingest, request, download, lambda: 0.0, MIB)
        part = PartChoice(request, content_parts, is_warming=False)
        rest = Rest(ingest, download, told, part, open_turn(4), lambda _: None, get_logger("test"))
        await rest.fetch(MIB, start=starts.append, notify=lambda: None)

    assert ("new" in told.trace.count()) == (first == "new")
    assert bool(starts) == (first == "proven")
