"""Laws of the log of pulls: a pull is recorded before its answer, and most pulls do not write."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from registry.catalog.pulls import BlobUse, Pull, PullCatalog
from registry.content.pull_log import PERIOD, RECENT, PullLog
from registry.errors import StoreError
from registry.oci.digest import Digest
from registry.oci.names import Tag
from tests.unit.content.content_site import HERE, THERE, Site, open_site

DIGEST, OTHER = Digest.of(b"one"), Digest.of(b"two")
TAG = Tag("1")


class SlowCatalog(PullCatalog):
    """Counts transactions; each waits for `gate`, and fails while `refuses`."""

    def __init__(self, site: Site) -> None:
        super().__init__(site.database)
        self.count = 0
        self.refuses = False
        self.has_begun = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def record(self, pulls: Sequence[Pull], blobs: Sequence[BlobUse] = ()) -> None:
        self.count += 1
        self.has_begun.set()
        await self.gate.wait()
        if self.refuses:
            raise StoreError("catalog.db", "database or disk is full")
        await super().record(pulls, blobs)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(tmp_path) as site:
        yield site


@pytest.fixture
def catalog(site: Site) -> SlowCatalog:
    return SlowCatalog(site)


@pytest.fixture
def log(site: Site, catalog: SlowCatalog) -> PullLog:
    return PullLog(catalog, site.clock)


async def test_clock_that_is_set_back_hides_no_pull(
    site: Site, log: PullLog, catalog: SlowCatalog
) -> None:
    """After that, pulls and blobs are noted as before, and clients wait for the record."""
    log.note_blob(HERE, DIGEST)
    await log.record(HERE, TAG, DIGEST, "")
    assert log.is_recorded(HERE, DIGEST)
    catalog.refuses = True
    log.note(HERE, TAG, OTHER, "")
    await log.flush()
    catalog.refuses = False
    site.now -= 3600

    assert not log.is_recorded(HERE, DIGEST)
    log.note_blob(HERE, DIGEST)
    assert log._blobs == {(HERE, DIGEST): site.now}
    await log.record(HERE, TAG, DIGEST, "")
    assert log.is_recorded(HERE, DIGEST)


def read(site: Site) -> list[tuple[str, str, float]]:
    rows = site.database.read("SELECT digest, client, pulled FROM pulls ORDER BY client")
    return [(each[0], each[1], each[2]) for each in rows]


async def test_a_pull_is_recorded_before_it_is_answered(site: Site, log: PullLog) -> None:
    """What deletes unused images knows it before the client does."""
    await log.record(HERE, TAG, DIGEST, "10.0.0.1")
    assert read(site) == [(str(DIGEST), "10.0.0.1", site.now)]


async def test_pulls_of_a_moment_write_once(site: Site, catalog: SlowCatalog, log: PullLog) -> None:
    """The following pulls are noted, and recorded together later."""
    for number in range(1, 9):
        await log.record(HERE, TAG, DIGEST, f"10.0.0.{number}")
        assert log.is_recorded(HERE, DIGEST)
        site.now += PERIOD / 10
    assert catalog.count == 1
    await log.flush()
    assert catalog.count == 2
    assert len(read(site)) == 8


async def test_no_record_is_older_than_a_moment(
    site: Site, catalog: SlowCatalog, log: PullLog
) -> None:
    """If nobody has recorded the noted pulls in time, the next pull is recorded at once."""
    await log.record(HERE, TAG, DIGEST, None)
    site.now += RECENT
    assert not log.is_recorded(HERE, DIGEST)
    await log.record(HERE, TAG, DIGEST, None)
    assert catalog.count == 2
    assert read(site) == [(str(DIGEST), "", site.now)]


@pytest.mark.parametrize("other", [(HERE, OTHER), (THERE, DIGEST)])
async def test_another_image_is_recorded_at_once(
    catalog: SlowCatalog, log: PullLog, other: tuple[object, object]
) -> None:
    """A pull says nothing about another manifest, nor about another repository."""
    await log.record(HERE, TAG, DIGEST, None)
    assert not log.is_recorded(*other)  # type: ignore[arg-type]
    await log.record(other[0], TAG, other[1], None)  # type: ignore[arg-type]
    assert catalog.count == 2


async def test_pulls_that_wait_share_a_transaction(
    site: Site, catalog: SlowCatalog, log: PullLog
) -> None:
    """Pulls of many images at once take the transaction that runs, and one after it."""
    catalog.gate.clear()
    digests = [Digest.of(b"%d" % number) for number in range(50)]
    pulling = [asyncio.create_task(log.record(HERE, TAG, digest, None)) for digest in digests]
    await asyncio.sleep(0)
    catalog.gate.set()
    await asyncio.gather(*pulling)
    assert catalog.count <= 2
    assert len(read(site)) == 50


async def test_a_catalog_that_refuses_does_not_delay_pulls(
    site: Site, catalog: SlowCatalog, log: PullLog
) -> None:
    """Clients do not try what has just failed; the pulls are recorded when it works again."""
    catalog.refuses = True
    for _ in range(5):
        await log.record(HERE, TAG, DIGEST, None)
    assert catalog.count == 1
    assert not log.is_recorded(HERE, DIGEST), "the catalog does not have it"
    catalog.refuses = False
    await log.flush()
    assert read(site) == [(str(DIGEST), "", site.now)]


async def test_a_catalog_that_hangs_delays_a_pull_for_a_moment(
    site: Site, catalog: SlowCatalog, log: PullLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a slow disk the client is answered, and the pull is recorded in the end."""
    monkeypatch.setattr("registry.content.pull_log.PATIENCE", 0.01)
    catalog.gate.clear()
    async with asyncio.timeout(20):
        await log.record(HERE, TAG, DIGEST, None)
    assert read(site) == []
    catalog.gate.set()
    await log.flush()
    assert read(site) == [(str(DIGEST), "", site.now)]


async def test_a_client_that_leaves_has_pulled(
    site: Site, catalog: SlowCatalog, log: PullLog
) -> None:
    """A request that is cancelled while its pull is recorded cancels no transaction."""
    catalog.gate.clear()
    pulling = asyncio.create_task(log.record(HERE, TAG, DIGEST, None))
    await catalog.has_begun.wait()
    pulling.cancel()
    await asyncio.gather(pulling, return_exceptions=True)
    catalog.gate.set()
    await log.flush()
    assert read(site) == [(str(DIGEST), "", site.now)]


async def test_a_catalog_that_refuses_fills_no_memory(
    site: Site, catalog: SlowCatalog, log: PullLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So many pulls wait for it; what is pulled again is among them with its newest time."""
    monkeypatch.setattr("registry.content.pull_log.MOST_NOTED", 5)
    catalog.refuses = True
    for number in range(20):
        log.note(HERE, TAG, DIGEST, f"10.0.0.{number}")
        log.note_blob(HERE, Digest.of(b"%d" % number))
    await log.flush()
    site.now += 1
    log.note(HERE, TAG, DIGEST, "10.0.0.4")

    assert (len(log._noted), len(log._blobs)) == (5, 5)
    catalog.refuses = False
    await log.flush()
    assert [(client, pulled) for _, client, pulled in read(site)] == [
        (f"10.0.0.{number}", site.now - (number != 4)) for number in range(5)
    ]


async def test_a_catalog_that_hangs_collects_no_tasks(
    catalog: SlowCatalog, log: PullLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All pulls that come meanwhile wait for the same transaction."""
    monkeypatch.setattr("registry.content.pull_log.PATIENCE", 0.001)
    catalog.gate.clear()
    for number in range(20):
        await log.record(HERE, TAG, Digest.of(b"%d" % number), None)

    assert len(log._flushing) <= 2
    catalog.gate.set()
    await log.flush()
    assert catalog.count <= 3
