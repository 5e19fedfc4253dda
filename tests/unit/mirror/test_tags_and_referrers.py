"""Laws of lists: when they are asked for again, and what is served without an upstream."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from registry.catalog.database import Database
from registry.errors import NameUnknown, ReferrersUnsupported
from registry.oci.digest import Digest
from registry.oci.names import Repository
from registry.store.data_folder import open_folder
from registry.tasks import Tasks
from registry.upstream.contract import Source
from registry.upstream.offline import OfflineSource
from registry.wiring.content import open_handles
from tests.fakes.source import MemorySource, Tap
from tests.harness.process_parts import ProcessParts

HERE = Repository("docker.io", "library/a")
MISSING_FOR = 10.0


@asynccontextmanager
async def open_site(path: Path, source: Source) -> AsyncIterator[ProcessParts]:
    """Open a process before one upstream."""
    handles, sources = open_handles(open_folder(path)), {HERE.registry: source}
    async with Database(handles.folder.catalog) as database, Tasks() as tasks:
        yield ProcessParts(handles, database, tasks=tasks, sources=sources, missing_for=MISSING_FOR)


@pytest.fixture
def source() -> MemorySource:
    return MemorySource(Tap())


@pytest.fixture
async def site(tmp_path: Path, source: MemorySource) -> AsyncIterator[ProcessParts]:
    async with open_site(tmp_path, source) as site:
        yield site


async def test_requests_do_not_prolong_an_error(site: ProcessParts, source: MemorySource) -> None:
    """However often clients ask meanwhile, the upstream is asked again after `missing_for`."""
    for _ in range(3):
        with pytest.raises(NameUnknown):
            await site.lists.list_tags(HERE)
        site.now += MISSING_FOR * 0.45
    source.tags[HERE.name] = ["1"]

    assert (await site.lists.list_tags(HERE)).entries == ["1"]


async def test_refusing_catalog_costs_no_list(site: ProcessParts, source: MemorySource) -> None:
    """A list that the upstream gave is served, although the catalog could not record it."""
    with closing(sqlite3.connect(site.folder.catalog)) as rows, rows:
        rows.execute(
            "CREATE TRIGGER full BEFORE INSERT ON lists BEGIN SELECT RAISE(FAIL, 'full'); END"
        )
    source.tags[HERE.name] = ["1"]

    assert (await site.lists.list_tags(HERE)).entries == ["1"]


async def test_offline_nothing_seen_is_no_empty_list(tmp_path: Path) -> None:
    """Offline, clients are sent to the tag scheme: an empty list hides signatures."""
    async with open_site(tmp_path, OfflineSource(HERE.registry)) as site:
        with pytest.raises(ReferrersUnsupported):
            await site.lists.list_referrers(HERE, Digest.of(b"image"))
