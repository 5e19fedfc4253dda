"""Laws of grants: what an upstream once said counts for a day, and longer only in an outage."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from registry.catalog.blob_access import BlobAccess, BlobAccessCatalog
from registry.errors import BlobUnknown, UpstreamDenied, UpstreamThrottled, UpstreamUnreachable
from registry.mirror.blob_checks import GRANT_LIFE
from registry.oci.digest import Digest
from registry.store.data_folder import open_folder
from registry.upstream.offline import OfflineSource
from tests.fakes.source import ORIGIN
from tests.harness.process_parts import ProcessParts
from tests.unit.mirror.trust_site import CONTENT, DIGEST, PUBLIC, Site


class Asked:
    """Counts the questions to an upstream; they fail with `failure`, or wait if it is `hanging`."""

    def __init__(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.failure: Exception | None = None
        self.hanging = asyncio.Event()
        self.hanging.set()
        answer = site.public.head_blob

        async def head_blob(repository: str, digest: Digest) -> int | None:
            self.count += 1
            await self.hanging.wait()
            if self.failure is not None:
                raise self.failure
            return await answer(repository, digest)

        monkeypatch.setattr(site.public, "head_blob", head_blob)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        yield Site(open_folder(tmp_path), stack)


@pytest.fixture
def asked(site: Site, monkeypatch: pytest.MonkeyPatch) -> Asked:
    return Asked(site, monkeypatch)


@pytest.fixture
async def process(site: Site, asked: Asked) -> ProcessParts:
    """A process that has asked once for a blob to which no manifest refers."""
    process = await site.open_process()
    assert await process.blobs.stat(PUBLIC, DIGEST) == len(CONTENT)
    assert asked.count == 1
    return process


async def find(process: ProcessParts) -> BlobAccess | None:
    return await BlobAccessCatalog(process.database).find(PUBLIC, DIGEST)


async def wait_for(process: ProcessParts, wanted: BlobAccess | None) -> None:
    """Wait for the end of a question that nobody waits for any more."""
    for _ in range(2000):
        if await find(process) == wanted:
            return
        await asyncio.sleep(0.005)
    raise AssertionError("waited in vain")


async def test_a_grant_counts_for_a_day(process: ProcessParts, asked: Asked) -> None:
    """Within a day the upstream is not asked again; after it, it is, and the next day begins."""
    process.now += GRANT_LIFE - 1
    assert await process.blobs.stat(PUBLIC, DIGEST) == len(CONTENT)
    assert asked.count == 1

    process.now += 1
    for _ in range(2):
        assert await process.blobs.stat(PUBLIC, DIGEST) == len(CONTENT)
    assert asked.count == 2
    assert await find(process) == BlobAccess(len(CONTENT), process.now)


async def test_a_grant_in_the_future_is_asked_again(process: ProcessParts, asked: Asked) -> None:
    """If the clock was set back a day, the upstream is asked, and the grant has the new time."""
    process.now -= GRANT_LIFE - 1
    assert await process.blobs.stat(PUBLIC, DIGEST) == len(CONTENT)
    assert asked.count == 1

    process.now -= 1
    for _ in range(2):
        assert await process.blobs.stat(PUBLIC, DIGEST) == len(CONTENT)
    assert asked.count == 2
    assert await find(process) == BlobAccess(len(CONTENT), process.now)


async def test_a_size_that_is_not_said_again_stays(
    process: ProcessParts, site: Site, asked: Asked
) -> None:
    """An upstream that confirms the blob and names no size confirms the size that is known."""
    site.public.tap.tells_size = False
    process.now += GRANT_LIFE

    assert await process.blobs.stat(PUBLIC, DIGEST) == len(CONTENT)
    assert await find(process) == BlobAccess(len(CONTENT), process.now)


@pytest.mark.parametrize(
    "failure",
    [BlobUnknown(str(PUBLIC), str(DIGEST)), UpstreamDenied(ORIGIN, "refuses access (403)")],
)
async def test_a_refusal_ends_a_grant(
    process: ProcessParts, asked: Asked, failure: Exception
) -> None:
    """If the upstream denies the blob, or has lost it, the mirror does not serve it any more."""
    asked.failure = failure
    process.now += GRANT_LIFE

    for _ in range(2):
        with pytest.raises(BlobUnknown):
            await process.blobs.get(PUBLIC, DIGEST)
    assert await find(process) is None


@pytest.mark.parametrize(
    "failure",
    [UpstreamUnreachable(ORIGIN, "no connection"), UpstreamThrottled(ORIGIN, "answers 429")],
)
async def test_an_outage_ends_no_grant(
    process: ProcessParts, asked: Asked, failure: Exception
) -> None:
    """While the upstream does not answer, the old grant counts, and it is asked again later."""
    asked.failure = failure
    process.now += GRANT_LIFE

    assert await process.blobs.stat(PUBLIC, DIGEST) == len(CONTENT)
    asked.failure = None
    assert await process.blobs.stat(PUBLIC, DIGEST) == len(CONTENT)
    await wait_for(process, BlobAccess(len(CONTENT), process.now))
    assert asked.count == 3


async def test_offline_a_grant_counts(process: ProcessParts, asked: Asked) -> None:
    """A mirror that asks nobody serves what it was allowed to serve."""
    process.now += GRANT_LIFE
    process.blobs._checks._sources[PUBLIC.registry] = OfflineSource(  # type: ignore[index]
        PUBLIC.registry
    )

    assert await process.blobs.stat(PUBLIC, DIGEST) == len(CONTENT)
    assert await find(process) == BlobAccess(len(CONTENT), process.now - GRANT_LIFE)


async def test_a_slow_answer_serves_the_next_client(process: ProcessParts, asked: Asked) -> None:
    """A client waits for a grant as long as for a known tag; the question goes on."""
    process._services._waits._known_wait = 0.02
    asked.hanging.clear()
    asked.failure = UpstreamDenied(ORIGIN, "refuses access (403)")
    process.now += GRANT_LIFE

    assert await process.blobs.stat(PUBLIC, DIGEST) == len(CONTENT)
    asked.hanging.set()
    await wait_for(process, None)
    with pytest.raises(BlobUnknown):
        await process.blobs.stat(PUBLIC, DIGEST)
    assert asked.count == 2
