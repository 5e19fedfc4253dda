"""Laws of doubtful answers about tags: when clients are told, and for how long."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from registry.catalog.pulls import Pull, PullCatalog
from registry.errors import TagDisputed
from registry.metrics.process_metrics import Metrics
from registry.mirror.revalidation import RevalidationResult, Revalidator
from registry.oci.digest import Digest
from registry.oci.manifest import Manifest
from registry.oci.names import Tag
from registry.settings.model import TagSettings
from registry.store.file_locks import BestEffortLocks
from registry.tasks import Tasks
from registry.upstream.contract import Fallback, TagAnswer
from tests.fakes.source import MemorySource, Tap
from tests.unit.mirror.manifest_site import FIRST, HERE, SECOND, TAG, Site, open_site

NEAR, FAR = "https://near.example", "https://far.example"


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(tmp_path) as site:
        yield site


class SayingSource(MemorySource):
    """An upstream that answers about each tag what a test says."""

    said: TagAnswer | Exception

    async def resolve_tag(
        self, repository: str, tag: Tag, *, fallback: Fallback = Fallback.NONE
    ) -> TagAnswer:
        if isinstance(self.said, Exception):
            raise self.said
        return self.said


class Mirror:
    """One process that asks about one tag."""

    def __init__(self, source: SayingSource, revalidator: Revalidator, metrics: Metrics) -> None:
        self._source, self._revalidator, self._metrics = source, revalidator, metrics

    async def ask(
        self,
        manifest: Manifest,
        *,
        is_trusted: bool = False,
        others: dict[str, Digest] | None = None,
    ) -> RevalidationResult:
        self._source.said = TagAnswer(manifest.digest, NEAR, is_trusted, others or {})
        return await self._revalidator.begin(HERE, TAG, must_ask=True).task

    async def fail(self, error: Exception) -> None:
        self._source.said = error
        with pytest.raises(type(error)):
            await self._revalidator.begin(HERE, TAG, must_ask=True).task

    def count(self, endpoint: str, reason: str) -> float:
        labels = {"endpoint": endpoint, "reason": reason}
        return self._metrics.registry.get_sample_value("entrepot_tag_warnings_total", labels) or 0


@asynccontextmanager
async def open_mirror(site: Site) -> AsyncIterator[Mirror]:
    names = {(HERE.name, str(each.digest)): each for each in (FIRST, SECOND)}
    source, process, metrics = SayingSource(Tap(), names), site.open_process(), Metrics()
    async with Tasks() as tasks:
        revalidator = Revalidator(
            {HERE.registry: source},
            process.cache,
            BestEffortLocks(site.folder.locks),
            tasks,
            process.deliveries,
            decisions=process.decisions,
            tags=TagSettings(),
            clock=lambda: 500.0,
            metrics=metrics,
        )
        yield Mirror(source, revalidator, metrics)


async def pull(site: Site, *manifests: Manifest) -> None:
    """Record that a client has pulled these manifests by the tag."""
    pulls = [Pull(HERE, TAG, each.digest, "10.0.0.1", 100.0) for each in manifests]
    await PullCatalog(site.database).record(pulls)


async def test_an_earlier_manifest_is_told(site: Site) -> None:
    """A tag that goes back is told until it goes on, by every process, and counted once."""
    await pull(site, FIRST)
    async with open_mirror(site) as mirror:
        assert (await mirror.ask(FIRST)).known.warning == ""
        assert (await mirror.ask(SECOND)).known.warning == ""
        back = await mirror.ask(FIRST)
        again = await mirror.ask(FIRST)
        assert mirror.count(NEAR, "earlier") == 1
    known = await site.open_cache().recall(HERE, TAG)
    async with open_mirror(site) as mirror:
        restarted = await mirror.ask(FIRST)
        onward = await mirror.ask(SECOND)

    assert f"leads again to {FIRST.digest}" in back.known.warning
    assert f"after it led to {SECOND.digest}" in back.known.warning
    assert known is not None
    assert {again.known.warning, known.warning, restarted.known.warning} == {back.known.warning}
    assert onward.known.warning == ""


async def test_a_trusted_endpoint_may_go_back(site: Site) -> None:
    """The registry itself may move a tag back; its answer also ends a doubt."""
    await pull(site, FIRST, SECOND)
    async with open_mirror(site) as mirror:
        await mirror.ask(SECOND)
        assert (await mirror.ask(FIRST, is_trusted=True)).known.warning == ""
        assert (await mirror.ask(SECOND)).known.warning != ""
        assert (await mirror.ask(SECOND, is_trusted=True)).known.warning == ""


async def test_a_manifest_that_the_tag_never_led_to_is_new(site: Site) -> None:
    """That another tag has led to it, or that it was never pulled by this one, is no doubt."""
    pulls = [Pull(HERE, Tag("other"), SECOND.digest, "10.0.0.1", 100.0)]
    await PullCatalog(site.database).record(pulls)
    async with open_mirror(site) as mirror:
        await mirror.ask(FIRST)
        assert (await mirror.ask(SECOND)).known.warning == ""


async def test_a_dispute_is_told_while_it_lasts(site: Site) -> None:
    """Clients read both digests, and no address; each endpoint that differs is counted."""
    async with open_mirror(site) as mirror:
        disputed = await mirror.ask(FIRST, is_trusted=True, others={FAR: SECOND.digest})
        known = await site.open_cache().recall(HERE, TAG)
        settled = await mirror.ask(FIRST, is_trusted=True)
        assert (mirror.count(FAR, "disagrees"), mirror.count(NEAR, "disagrees")) == (1, 0)

    for digest in (FIRST.digest, SECOND.digest):
        assert str(digest) in disputed.known.warning
    assert "example" not in disputed.known.warning
    assert known is not None
    assert known.warning == disputed.known.warning
    assert settled.known.warning == ""


async def test_an_undecided_dispute_is_counted(site: Site) -> None:
    """If nobody decides, all who have said something are counted."""
    said = {NEAR: str(FIRST.digest), FAR: str(SECOND.digest)}
    async with open_mirror(site) as mirror:
        await mirror.fail(TagDisputed(HERE.registry, said))
        assert (mirror.count(FAR, "disagrees"), mirror.count(NEAR, "disagrees")) == (1, 1)
