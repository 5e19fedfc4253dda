"""Laws of lists: when they are asked for again, and what is served without an upstream."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from registry.catalog.database import Database
from registry.catalog.manifests import ManifestCatalog
from registry.errors import NameUnknown, ReferrersUnsupported, UpstreamUnreachable
from registry.mirror.cache_status import CacheStatus
from registry.mirror.tags_and_referrers import ServedList
from registry.oci.digest import Digest
from registry.oci.manifest import Manifest
from registry.oci.names import Repository
from registry.store.data_folder import open_folder
from registry.tasks import Tasks
from registry.upstream.contract import Source, UpstreamList
from registry.upstream.offline import OfflineSource
from registry.upstream.via import ViaWriter, make_name, names_passed
from registry.wiring.content import open_handles
from tests.fakes.source import MemorySource, Tap
from tests.harness.process_parts import ProcessParts
from tests.unit.mirror.manifest_site import make

HERE, THERE = Repository("docker.io", "library/a"), Repository("docker.io", "library/b")
MISSING_FOR = 10.0
IMAGE = Digest.of(b"image")
SIGNATURE, SBOM = make("signature"), make("sbom")


def describe(manifest: Manifest) -> dict[str, Any]:
    """Return the entry of a manifest in a list of referrers."""
    size = len(manifest.raw)
    return {"mediaType": manifest.media_type, "digest": str(manifest.digest), "size": size}


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


async def test_lists_with_other_names_in_via_are_not_shared(
    site: ProcessParts, source: MemorySource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client may invent names for which an upstream refuses the question."""
    asked: list[tuple[str, ...]] = []

    async def list_tags(*_: object, **__: object) -> UpstreamList:
        asked.append(names_passed())
        await asyncio.sleep(0)
        return UpstreamList(["1"])

    async def get(via: str) -> None:
        ViaWriter(make_name()).read([via])
        await site.lists.list_tags(HERE)

    monkeypatch.setattr(source, "list_tags", list_tags)
    name = make_name()
    ways = (f"1.1 {name}", "", f"1.1 {name}", "")
    await asyncio.gather(*(asyncio.create_task(get(each)) for each in ways))
    assert asked == [(name,), ()]


async def test_refusing_catalog_costs_no_list(site: ProcessParts, source: MemorySource) -> None:
    """A list that the upstream gave is served, although the catalog could not record it."""
    with closing(sqlite3.connect(site.folder.catalog)) as rows, rows:
        rows.execute(
            "CREATE TRIGGER full BEFORE INSERT ON lists BEGIN SELECT RAISE(FAIL, 'full'); END"
        )
    source.tags[HERE.name] = ["1"]

    assert (await site.lists.list_tags(HERE)).entries == ["1"]


@pytest.mark.parametrize("is_offline", [True, False])
async def test_without_an_upstream_nothing_known_is_an_empty_list(
    tmp_path: Path, source: MemorySource, *, is_offline: bool
) -> None:
    """Clients ask for the referrers of each image, so an error would fail the pull of the image."""
    source.tap.is_down = True
    async with open_site(tmp_path, OfflineSource(HERE.registry) if is_offline else source) as site:
        served = await site.lists.list_referrers(HERE, Digest.of(b"image"))

    assert (served.entries, served.origin) == ([], CacheStatus.STALE)
    assert served.warning == "only the referrers pulled through this mirror"


async def test_repository_that_listed_referrers_never_answers_404(
    site: ProcessParts, source: MemorySource
) -> None:
    """A registry with the referrers API must not answer 404 (distribution-spec)."""
    source.referrers = {}
    await site.lists.list_referrers(HERE, Digest.of(b"image"))
    source.referrers = None

    served = await site.lists.list_referrers(HERE, Digest.of(b"other"))

    assert (served.entries, served.origin) == ([], CacheStatus.STALE)


@pytest.mark.parametrize("later", [0.0, 10_000.0])
async def test_repository_without_the_api_stays_without_it(
    tmp_path: Path, source: MemorySource, later: float
) -> None:
    """What the upstream said is true for all digests, and also while it does not answer."""
    async with open_site(tmp_path, source) as site:
        with pytest.raises(ReferrersUnsupported):
            await site.lists.list_referrers(HERE, Digest.of(b"image"))
    source.tap.is_down = True

    for upstream in (source, OfflineSource(HERE.registry)):
        async with open_site(tmp_path, upstream) as site:
            site.now += later
            with pytest.raises(ReferrersUnsupported):
                await site.lists.list_referrers(HERE, Digest.of(b"other"))


@pytest.mark.parametrize("is_recorded", [False, True])
@pytest.mark.parametrize("later", [0.0, 10_000.0])
async def test_prefetch_is_told_that_the_upstream_did_not_answer(
    site: ProcessParts, source: MemorySource, later: float, *, is_recorded: bool
) -> None:
    """Otherwise an image would count as whole although its signatures were not asked for."""
    if is_recorded:
        source.referrers = {}
        await site.lists.list_referrers(HERE, Digest.of(b"image"))
    site.now += later
    source.tap.is_down = True

    with pytest.raises(UpstreamUnreachable):
        await site.lists.list_referrers(HERE, Digest.of(b"image"), must_ask=True)


async def test_prefetch_asks_although_a_list_is_fresh(
    site: ProcessParts, source: MemorySource
) -> None:
    """An image may be signed after a client asked for its referrers."""
    source.referrers = {}
    await site.lists.list_referrers(HERE, IMAGE)
    source.referrers = {(HERE.name, str(IMAGE)): [describe(SIGNATURE)]}

    served = await site.lists.list_referrers(HERE, IMAGE, must_ask=True)

    assert served.entries == [describe(SIGNATURE)]


async def test_prefetch_uses_the_tag_where_the_api_is_gone(
    site: ProcessParts, source: MemorySource
) -> None:
    """Clients still get a list, but `images warm` looks for the tag, and takes no old list."""
    source.referrers = {}
    await site.lists.list_referrers(HERE, IMAGE)
    source.referrers = None
    site.now += 10_000

    with pytest.raises(ReferrersUnsupported):
        await site.lists.list_referrers(HERE, IMAGE, must_ask=True)
    assert (await site.lists.list_referrers(HERE, IMAGE)).entries == []


async def test_cut_list_keeps_its_warning(site: ProcessParts, source: MemorySource) -> None:
    """A list that the upstream cut has a warning each time it is served."""
    source.tags[HERE.name] = ["1"]
    source.warning = "cut"

    first, second = [await site.lists.list_tags(HERE) for _ in range(2)]

    assert (first.origin, second.origin) == (CacheStatus.MISS, CacheStatus.HIT)
    assert (first.warning, second.warning) == ("cut", "cut")


@pytest.mark.parametrize("is_offline", [True, False])
async def test_kept_list_names_only_what_is_stored(
    tmp_path: Path, source: MemorySource, *, is_offline: bool
) -> None:
    """A client would ask for each entry, and give up the pull of an image that is here."""
    source.referrers = {(HERE.name, str(IMAGE)): [describe(SIGNATURE), describe(SBOM)]}
    async with open_site(tmp_path, source) as site:
        await site.lists.list_referrers(HERE, IMAGE)
        await site.content.manifests.put(HERE, SIGNATURE, None, site.now)
    source.tap.is_down = True

    async with open_site(tmp_path, OfflineSource(HERE.registry) if is_offline else source) as site:
        site.now += 10_000
        served = await site.lists.list_referrers(HERE, IMAGE)

    assert (served.entries, served.origin) == ([describe(SIGNATURE)], CacheStatus.STALE)
    assert served.warning.startswith("1 referrers that are not stored here are left out; stale: ")


async def test_kept_list_does_not_name_a_deleted_manifest(
    site: ProcessParts, source: MemorySource
) -> None:
    """The repository still has the name of it, but not its bytes."""
    source.referrers = {(HERE.name, str(IMAGE)): [describe(SIGNATURE)]}
    await site.lists.list_referrers(HERE, IMAGE)
    await site.content.manifests.put(HERE, SIGNATURE, None, site.now)
    with closing(sqlite3.connect(site.folder.catalog)) as rows, rows:
        rows.execute("DELETE FROM blobs")
    source.tap.is_down = True
    site.now += 10_000

    assert (await site.lists.list_referrers(HERE, IMAGE)).entries == []


async def ask_in_an_outage(site: ProcessParts, source: MemorySource) -> ServedList:
    """Ask for the referrers of an image in a repository that was never asked before."""
    source.tap.is_down = True
    try:
        return await site.lists.list_referrers(THERE, IMAGE)
    finally:
        source.tap.is_down = False


async def test_repository_that_was_never_asked_is_as_its_registry(
    site: ProcessParts, source: MemorySource
) -> None:
    """Otherwise it would be 200 in an outage and 404 after it, and oras stops on that."""
    with pytest.raises(ReferrersUnsupported):
        await site.lists.list_referrers(HERE, IMAGE)

    with pytest.raises(ReferrersUnsupported):
        await ask_in_an_outage(site, source)
    with pytest.raises(ReferrersUnsupported):
        await site.lists.list_referrers(THERE, IMAGE)


@pytest.mark.parametrize("is_missing_first", [True, False])
async def test_one_missing_repository_is_no_registry_without_the_api(
    site: ProcessParts, source: MemorySource, *, is_missing_first: bool
) -> None:
    """A 404 may mean the repository; one list shows that the registry has the API."""
    for is_missing in (is_missing_first, not is_missing_first):
        source.referrers = None if is_missing else {}
        repository = Repository(HERE.registry, "team/missing") if is_missing else HERE
        if is_missing:
            with pytest.raises(ReferrersUnsupported):
                await site.lists.list_referrers(repository, IMAGE)
        else:
            await site.lists.list_referrers(repository, IMAGE)
    source.referrers = {}

    assert (await ask_in_an_outage(site, source)).entries == []
    assert (await site.lists.list_referrers(THERE, IMAGE)).entries == []


@pytest.mark.parametrize(("count", "at_once"), [(3, 5), (20_000, 1)])
async def test_long_lists_are_read_one_at_a_time(
    site: ProcessParts, source: MemorySource, count: int, at_once: int
) -> None:
    """Each takes much memory until its answer is made; short ones do not wait for each other."""
    source.tags[HERE.name] = [f"a-long-tag-{number:06}" for number in range(count)]
    await ManifestCatalog(site.database).record(HERE, SBOM, None, site.now)
    await site.lists.list_tags(HERE)
    held, most = 0, 0

    async def read() -> None:
        nonlocal held, most
        async with site.lists.take_turn(HERE):
            held += 1
            most = max(most, held)
            assert len((await site.lists.list_tags(HERE)).entries) == count
            await asyncio.sleep(0)
            held -= 1

    await asyncio.gather(*(read() for _ in range(5)))

    assert most == at_once
