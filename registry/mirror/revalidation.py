"""Asking upstreams about manifests; requests for the same reference share one question."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from registry.catalog.tag_hold import NO_HOLD
from registry.errors import TagDisputed, Unknown, UpstreamDenied, UpstreamFaulty
from registry.metrics.process_metrics import Metrics
from registry.mirror.cache_status import CacheStatus
from registry.mirror.deliveries import Deliveries
from registry.mirror.former_manifests import FormerManifests
from registry.mirror.freshness import Freshness, find_freshness
from registry.mirror.manifest_cache import ManifestCache
from registry.mirror.manifest_memory import KnownManifest
from registry.mirror.tag_decisions import ChosenDigest, TagDecisions
from registry.mirror.tag_warnings import TagWarnings
from registry.oci.digest import Digest
from registry.oci.manifest import Manifest
from registry.oci.names import Reference, Repository, Tag
from registry.settings.model import TagSettings
from registry.store.file_locks import BestEffortLocks
from registry.tasks import Tasks
from registry.upstream.contract import Fallback, Source, TagAnswer
from registry.upstream.via import names_passed


@dataclass(frozen=True, slots=True)
class RevalidationResult:
    """The manifest that a reference leads to now, and where the mirror got it from.

    `was_asked` says whether the upstream was asked, and has answered.
    """

    known: KnownManifest
    origin: CacheStatus
    was_asked: bool = True


@dataclass(frozen=True, slots=True)
class Revalidation:
    """A question to an upstream; `task` asks it, and began at `began` (epoch seconds).

    `is_joined` says whether an earlier request has begun the question.
    """

    task: asyncio.Task[RevalidationResult]
    began: float
    is_joined: bool = False


class Revalidator:
    """Asks upstreams. A question runs to its end, even if its first request is cancelled."""

    def __init__(
        self,
        sources: Mapping[str, Source],
        cache: ManifestCache,
        locks: BestEffortLocks,
        tasks: Tasks,
        deliveries: Deliveries,
        *,
        decisions: TagDecisions,
        tags: TagSettings,
        clock: Callable[[], float],
        metrics: Metrics,
        on_new: Callable[[Repository, Manifest], None] = lambda _, __: None,
    ) -> None:
        """`on_new` is called with each manifest that a repository did not have here before."""
        self._sources = sources
        self._cache = cache
        self._locks = locks
        self._deliveries = deliveries
        self._decisions = decisions
        self._formers = FormerManifests(cache, decisions, sources, clock, metrics)
        self._on_new = on_new
        self._tasks = tasks
        self._tags = tags
        self._clock = clock
        self._metrics = metrics
        self._warnings = TagWarnings(cache, metrics)
        self._running: dict[tuple[Repository, Reference, tuple[str, ...]], Revalidation] = {}

    def is_running(self, repository: Repository, reference: Reference) -> bool:
        """Whether a question about `reference` is running, so that `begin` would begin none."""
        return (repository, reference, names_passed()) in self._running

    def begin(
        self,
        repository: Repository,
        reference: Reference,
        *,
        must_ask: bool = False,
        fallback: Fallback = Fallback.NONE,
    ) -> Revalidation:
        """Return the question about `reference` that is running, or begin a question.

        If another process has just confirmed a tag, the upstream is not asked, except if
        `must_ask`. With a `fallback` the question is given up earlier: see `Source`. The task
        raises Unknown or UpstreamError if no manifest was found, TagTooNew if it is not served yet,
        and StoreError if the disk or the catalog refused.
        """
        key = (repository, reference, names_passed())
        running = self._running.get(key)
        if running is not None:
            return replace(running, is_joined=True)
        asking = self._revalidate(repository, reference, must_ask=must_ask, fallback=fallback)
        revalidation = Revalidation(self._tasks.start(asking), self._clock())
        self._running[key] = revalidation
        revalidation.task.add_done_callback(lambda _: self._running.pop(key, None))
        return revalidation

    async def find_stored(self, repository: Repository, reference: Reference) -> Manifest | None:
        """Return the manifest that `reference` leads to now, or None if it is not stored here.

        The upstream is asked for the digest of a tag by HEAD. Nothing is stored or recorded.

        Raises:
            Unknown, UpstreamError: the upstream does not have it, or does not answer the question.
            TagTooNew: it is not served yet.
            StoreError: the disk or the catalog refused.
        """
        digest: Digest | None
        if isinstance(reference, Digest):
            digest = reference
        else:
            digest = await self._sources[repository.registry].head_manifest(
                repository.name, reference
            )
            if digest is not None:
                digest = await self._decisions.preview(repository, reference, digest)
        return None if digest is None else await self._recall_bytes(repository, digest)

    async def settle(self, repository: Repository, tag: Tag, known: KnownManifest) -> KnownManifest:
        """Decide again what a tag serves: see `FormerManifests.settle`."""
        return await self._formers.settle(repository, tag, known)

    async def _revalidate(
        self, repository: Repository, reference: Reference, *, must_ask: bool, fallback: Fallback
    ) -> RevalidationResult:
        # If two processes have the same question, one asks, and the other finds the answer.
        async with self._locks.try_hold(f"{repository}:{reference}"):
            known = await self._cache.recall(repository, reference)
            if known is not None and not self._has_to_ask(reference, known, must_ask=must_ask):
                return RevalidationResult(known, CacheStatus.HIT, was_asked=False)
            if isinstance(reference, Digest):
                return await self._get_by_digest(repository, reference)
            return await self._get_by_tag(repository, reference, known, fallback=fallback)

    def _has_to_ask(self, reference: Reference, known: KnownManifest, *, must_ask: bool) -> bool:
        if isinstance(reference, Digest):
            return False
        found = find_freshness(
            self._tags,
            reference.name,
            known.checked,
            self._clock(),
            offline=False,
            hold=known.hold,
        )
        return must_ask or found is not Freshness.FRESH

    async def _get_by_digest(self, repository: Repository, digest: Digest) -> RevalidationResult:
        source = self._sources[repository.registry]
        manifest = await self._recall_bytes(repository, digest)
        was_asked = True
        if manifest is not None:
            # The manifest is stored for another repository. A HEAD shows whether this repository
            # has it too, and does not count as a pull.
            was_asked = not self._cache.is_child(repository, digest)
            if was_asked:
                await source.head_manifest(repository.name, digest)
            origin = CacheStatus.REVALIDATED
        else:
            manifest = await source.get_manifest(repository.name, digest)
            self._count_downloaded(repository, manifest)
            origin = CacheStatus.MISS
        return await self._keep(repository, digest, manifest, origin, was_asked=was_asked)

    async def _get_by_tag(
        self, repository: Repository, tag: Tag, known: KnownManifest | None, *, fallback: Fallback
    ) -> RevalidationResult:
        generation = self._cache.generation
        answer = await self._resolve(repository, tag, fallback=fallback)
        said = await self._decisions.find_said(repository, tag, known)
        warning = self._warnings.examine(repository, tag, known, answer, said=said)
        chosen = ChosenDigest(answer.digest)
        if not self._decisions.is_settled(known, answer.digest):
            chosen = await self._decisions.choose(repository, tag, answer.digest, known)
        if chosen.digest != answer.digest:
            if known is not None and known.manifest.digest == chosen.digest:
                return await self._confirm(repository, tag, known, chosen, generation)
            former = await self._formers.find(repository, chosen)
            if former is not None:
                return await self._keep(repository, tag, *former, chosen=chosen)
            chosen = await self._decisions.choose_without(repository, tag)
        warning = "; ".join(filter(None, (warning, chosen.warning)))
        chosen = replace(chosen, digest=answer.digest, warning=warning)
        if known is not None and answer.digest == known.manifest.digest:
            return await self._confirm(repository, tag, known, chosen, generation)
        manifest = await self._recall_bytes(repository, answer.digest)
        origin = CacheStatus.REVALIDATED
        if manifest is None:
            manifest = answer.manifest
            if manifest is None:
                manifest = await self._get_new(repository, tag, answer.digest, fallback=fallback)
                self._count_downloaded(repository, manifest)
            origin = CacheStatus.MISS
        return await self._keep(repository, tag, manifest, origin, chosen=chosen)

    async def _confirm(
        self,
        repository: Repository,
        tag: Tag,
        known: KnownManifest,
        chosen: ChosenDigest,
        generation: int,
    ) -> RevalidationResult:
        known = await self._cache.confirm(
            repository,
            tag,
            known.manifest,
            self._clock(),
            generation,
            warning=chosen.warning,
            hold=chosen.hold,
        )
        return RevalidationResult(known, CacheStatus.REVALIDATED)

    async def _resolve(self, repository: Repository, tag: Tag, *, fallback: Fallback) -> TagAnswer:
        source = self._sources[repository.registry]
        try:
            answer = await source.resolve_tag(repository.name, tag, fallback=fallback)
        except TagDisputed as error:
            self._warnings.count_dispute(error)
            raise
        if answer.manifest is not None:
            self._count_downloaded(repository, answer.manifest)
        return answer

    def _count_downloaded(self, repository: Repository, manifest: Manifest) -> None:
        self._metrics.downloaded_bytes.labels(repository.registry).inc(len(manifest.raw))

    async def _recall_bytes(self, repository: Repository, digest: Digest) -> Manifest | None:
        """Return a manifest that is stored for another repository and may be used for this one."""
        if not self._deliveries.allow(repository.registry, digest):
            return None
        return await self._cache.recall_bytes(digest)

    async def _keep(
        self,
        repository: Repository,
        reference: Reference,
        manifest: Manifest,
        origin: CacheStatus,
        *,
        was_asked: bool = True,
        chosen: ChosenDigest | None = None,
    ) -> RevalidationResult:
        now = self._clock()
        warning, hold = (chosen.warning, chosen.hold) if chosen else ("", NO_HOLD)
        known = await self._cache.keep(
            repository, reference, manifest, now, warning=warning, hold=hold
        )
        self._on_new(repository, manifest)
        return RevalidationResult(known, origin, was_asked)

    async def _get_new(
        self, repository: Repository, tag: Tag, digest: Digest, *, fallback: Fallback
    ) -> Manifest:
        """Fetch the manifest of a tag, which leads to `digest`."""
        source = self._sources[repository.registry]
        try:
            # By digest, because the tag may move between the two requests.
            return await source.get_manifest(repository.name, digest, fallback=fallback)
        except (Unknown, UpstreamDenied, UpstreamFaulty):
            # Some registries have a manifest only by its tag.
            return await source.get_manifest(repository.name, tag, fallback=fallback)
