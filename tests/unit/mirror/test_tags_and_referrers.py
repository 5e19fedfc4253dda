"""Laws of lists: when they are asked for again, and what is served without an upstream."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, closing
from pathlib import Path

import pytest

from registry.catalog.database import Database
from registry.catalog.manifests import ManifestCatalog
from registry.catalog.upstream_lists import UpstreamListCatalog
from registry.errors import NameUnknown, ReferrersUnsupported, UpstreamUnreachable
from registry.mirror.cache_status import CacheStatus
from registry.mirror.negative_cache import NegativeCache
from registry.mirror.tags_and_referrers import TagsAndReferrers
from registry.mirror.upstream_waits import UpstreamWaits
from registry.oci.digest import Digest
from registry.oci.names import Repository
from registry.settings.model import TagSettings
from registry.tasks import Tasks
from registry.upstream.contract import Source
from registry.upstream.offline import OfflineSource
from tests.fakes.source import MemorySource, Tap

HERE = Repository("docker.io", "library/a")
MISSING_FOR = 10.0


class Site:
    """Lists of one upstream in memory, and a clock that a test turns."""

    def __init__(self, path: Path, stack: AsyncExitStack) -> None:
        self.path = path
        self.now = 1000.0
        self.source = MemorySource(Tap())
        self._stack = stack

    async def open(self, source: Source | None = None) -> TagsAndReferrers:
        database = await self._stack.enter_async_context(Database(self.path))
        return TagsAndReferrers(
            {HERE.registry: source or self.source},
            UpstreamListCatalog(database),
            ManifestCatalog(database),
            NegativeCache(MISSING_FOR),
            await self._stack.enter_async_context(Tasks()),
            waits=UpstreamWaits(lambda: self.now),
            tags=TagSettings(),
            clock=lambda: self.now,
        )


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        yield Site(tmp_path / "catalog.db", stack)


async def test_requests_do_not_prolong_an_error(site: Site) -> None:
    """However often clients ask meanwhile, the upstream is asked again after `missing_for`."""
    lists = await site.open()
    for _ in range(3):
        with pytest.raises(NameUnknown):
            await lists.list_tags(HERE)
        site.now += MISSING_FOR * 0.45
    site.source.tags[HERE.name] = ["1"]

    assert (await lists.list_tags(HERE)).entries == ["1"]


async def test_refusing_catalog_costs_no_list(site: Site) -> None:
    """A list that the upstream gave is served, although the catalog could not record it."""
    lists = await site.open()
    with closing(sqlite3.connect(site.path)) as rows, rows:
        rows.execute(
            "CREATE TRIGGER full BEFORE INSERT ON lists BEGIN SELECT RAISE(FAIL, 'full'); END"
        )
    site.source.tags[HERE.name] = ["1"]

    assert (await lists.list_tags(HERE)).entries == ["1"]


@pytest.mark.parametrize("is_offline", [True, False])
async def test_without_an_upstream_nothing_known_is_an_empty_list(
    site: Site, *, is_offline: bool
) -> None:
    """Clients ask for the referrers of each image, so an error would fail the pull of the image."""
    site.source.tap.is_down = True
    lists = await site.open(OfflineSource(HERE.registry) if is_offline else None)

    served = await lists.list_referrers(HERE, Digest.of(b"image"))

    assert (served.entries, served.origin) == ([], CacheStatus.STALE)
    assert served.warning == "only the referrers pulled through this mirror"


async def test_repository_that_listed_referrers_never_answers_404(site: Site) -> None:
    """A registry with the referrers API must not answer 404 (distribution-spec)."""
    lists = await site.open()
    site.source.referrers = {}
    await lists.list_referrers(HERE, Digest.of(b"image"))
    site.source.referrers = None

    served = await lists.list_referrers(HERE, Digest.of(b"other"))

    assert (served.entries, served.origin) == ([], CacheStatus.STALE)


@pytest.mark.parametrize("later", [0.0, 10_000.0])
async def test_repository_without_the_api_stays_without_it(site: Site, later: float) -> None:
    """What the upstream said is true for all digests, and also while it does not answer."""
    lists = await site.open()
    site.source.referrers = None
    with pytest.raises(ReferrersUnsupported):
        await lists.list_referrers(HERE, Digest.of(b"image"))
    site.source.tap.is_down = True
    site.now += later

    for source in (None, OfflineSource(HERE.registry)):
        reopened = await site.open(source)
        with pytest.raises(ReferrersUnsupported):
            await reopened.list_referrers(HERE, Digest.of(b"other"))


async def test_prefetch_is_told_that_the_upstream_did_not_answer(site: Site) -> None:
    """Otherwise an image would count as whole although its signatures were not asked for."""
    site.source.tap.is_down = True
    lists = await site.open()

    with pytest.raises(UpstreamUnreachable):
        await lists.list_referrers(HERE, Digest.of(b"image"), must_ask=True)
