"""Laws of confirmed tags: an upstream confirms only the manifest that it was asked about."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from registry.content.manifests import ManifestStore
from registry.errors import ManifestUnknown
from registry.metrics.process_metrics import Metrics
from registry.mirror.cache_status import CacheStatus
from registry.mirror.manifest_cache import ManifestCache
from registry.mirror.revalidation import Revalidator
from registry.oci.digest import Digest
from registry.oci.manifest import Manifest
from registry.oci.names import Reference, Repository
from registry.settings.model import TagSettings
from registry.store.file_locks import BestEffortLocks
from registry.tasks import Tasks
from registry.upstream.contract import Fallback, Source
from registry.upstream.via import ViaWriter, make_name
from tests.fakes.source import MemorySource, Tap
from tests.harness.process_parts import ProcessParts
from tests.unit.mirror.manifest_site import (
    FIRST,
    HERE,
    SECOND,
    TAG,
    Site,
    open_site,
    refuse_to_put,
)

NOW = 500.0


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(tmp_path) as site:
        yield site


class MovingSource(MemorySource):
    """An upstream whose answer to HEAD is on its way while `act` happens."""

    def __init__(self, act: Callable[[], Awaitable[object]]) -> None:
        super().__init__(Tap(), {(HERE.name, str(TAG)): FIRST})
        self._act = act

    async def head_manifest(
        self, repository: str, reference: Reference, *, fallback: Fallback = Fallback.NONE
    ) -> Digest | None:
        found = await super().head_manifest(repository, reference)
        await self._act()
        return found


class NamingSource(MemorySource):
    """An upstream that says the digests of manifests, and has them only if it `delivers`."""

    delivers = False

    async def head_manifest(
        self, repository: str, reference: Reference, *, fallback: Fallback = Fallback.NONE
    ) -> Digest | None:
        return self.manifests[repository, str(reference)].digest

    async def get_manifest(
        self, repository: str, reference: Reference, *, fallback: Fallback = Fallback.NONE
    ) -> Manifest:
        if not self.delivers:
            raise ManifestUnknown(repository, str(reference))
        return await super().get_manifest(repository, reference)


@asynccontextmanager
async def open_revalidator(
    site: Site,
    cache: ManifestCache,
    source: MemorySource,
    process: ProcessParts | None = None,
) -> AsyncIterator[Revalidator]:
    process = process or site.open_process()
    async with Tasks() as tasks:
        yield Revalidator(
            {HERE.registry: source},
            cache,
            BestEffortLocks(site.folder.locks),
            tasks,
            process.deliveries,
            decisions=process.decisions,
            tags=TagSettings(),
            clock=lambda: NOW,
            metrics=Metrics(),
        )


async def test_a_tag_that_moved_during_the_question_is_not_confirmed(site: Site) -> None:
    """The answer about the former manifest makes neither manifest fresh for later requests."""
    mine, theirs = site.open_cache(), site.open_cache()
    await mine.keep(HERE, TAG, FIRST, 100.0)

    async def move() -> None:
        await theirs.keep(HERE, TAG, SECOND, 101.0)
        mine.look_for_changes()

    async with open_revalidator(site, mine, MovingSource(move)) as revalidator:
        result = await revalidator.begin(HERE, TAG, must_ask=True).task
    later = mine.remember(HERE, TAG) or await mine.recall(HERE, TAG)

    assert (result.known.manifest, result.origin) == (FIRST, CacheStatus.REVALIDATED)
    assert later is not None
    assert (later.manifest.digest, later.checked) == (SECOND.digest, 101.0)


@pytest.mark.parametrize("reference", [TAG, FIRST.digest])
async def test_a_private_manifest_is_not_for_who_names_its_digest(
    site: Site, reference: Reference
) -> None:
    """An upstream that only says the digest of a manifest of another domain has to deliver it."""
    private = Repository("team.example", "app")
    sources: dict[str, Source] = {
        HERE.registry: MemorySource(Tap()),
        private.registry: MemorySource(Tap()),
    }
    process = ProcessParts(site.handles, site.database, sources=sources, private=[private.registry])
    await process.cache.keep(private, TAG, FIRST, 100.0)
    names = {(HERE.name, str(name)): FIRST for name in (TAG, FIRST.digest)}
    source = NamingSource(Tap(), names)

    async with open_revalidator(site, process.cache, source, process) as revalidator:
        assert await revalidator.find_stored(HERE, reference) is None
        with pytest.raises(ManifestUnknown):
            await revalidator.begin(HERE, reference).task
        source.delivers = True
        result = await revalidator.begin(HERE, reference).task
        assert result.origin is CacheStatus.MISS
        assert await revalidator.find_stored(HERE, reference) == FIRST
    again = MemorySource(Tap(), names)
    async with open_revalidator(site, process.cache, again, process) as revalidator:
        other = Repository(HERE.registry, "library/b")
        again.manifests[other.name, str(FIRST.digest)] = FIRST
        found = await revalidator.begin(other, FIRST.digest).task
    assert found.origin is CacheStatus.REVALIDATED, "its registry has delivered it"


async def test_questions_with_other_names_in_via_are_not_shared(site: Site) -> None:
    """A client may invent names for which an upstream refuses the question."""
    joined: list[bool] = []

    async def wait() -> None:
        await asyncio.sleep(0)

    async def begin(via: str) -> None:
        ViaWriter(make_name()).read([via])
        revalidation = revalidator.begin(HERE, TAG, must_ask=True)
        joined.append(revalidation.is_joined)
        await revalidation.task

    async with open_revalidator(site, site.open_cache(), MovingSource(wait)) as revalidator:
        name = f"1.1 {make_name()}"
        await asyncio.gather(*(asyncio.create_task(begin(via)) for via in (name, "", name, "")))
    assert joined == [False, False, True, True]


async def test_a_refused_manifest_does_not_confirm_its_predecessor(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the disk refused the new manifest of a tag, the former one gets no newer time by it."""
    cache = site.open_cache()
    await cache.keep(HERE, TAG, SECOND, 100.0)
    with monkeypatch.context() as patched:
        patched.setattr(ManifestStore, "put", refuse_to_put)
        await cache.keep(HERE, TAG, FIRST, 200.0)

    await cache.confirm(HERE, TAG, FIRST, 300.0, cache.generation)

    known = await site.open_cache().recall(HERE, TAG)
    assert known is not None
    assert (known.manifest.digest, known.checked) == (SECOND.digest, 100.0)


async def test_a_bundle_still_confirms_a_tag_that_an_import_moved(site: Site) -> None:
    """A tag that an import moved during the question is still recorded as of that bundle."""
    cache, store = site.open_cache(), site.open_manifests()
    await cache.keep(HERE, TAG, FIRST, 100.0)
    await store.put(HERE, SECOND, None, 101.0)
    await store.put_names(HERE, SECOND, TAG, 101.0, bundle="b", signer="s")
    before = await site.tags.read(HERE, TAG)

    await cache.confirm(HERE, TAG, FIRST, 300.0, cache.generation)

    assert await site.tags.read(HERE, TAG) == before
    record = store.catalog.find_tag(HERE, TAG)
    assert record is not None
    assert (record.digest, record.checked, record.bundle) == (SECOND.digest, 101.0, "b")
