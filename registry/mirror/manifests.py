"""The journey of a manifest: what is known and fresh is served; else the upstream is asked."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from registry.content.pull_log import PullLog
from registry.errors import (
    ManifestUnknown,
    StoreError,
    Unknown,
    UpstreamDenied,
    UpstreamError,
    UpstreamOffline,
)
from registry.mirror.cache_status import CacheStatus
from registry.mirror.freshness import Freshness, judge
from registry.mirror.manifest_cache import ManifestCache
from registry.mirror.manifest_memory import Known
from registry.mirror.negative_cache import NegativeCache
from registry.mirror.revalidation import Revalidation, RevalidationResult, Revalidator
from registry.oci.digest import Digest
from registry.oci.manifest import Manifest
from registry.oci.names import Reference, Repository, Tag
from registry.settings.model import TagSettings

PATIENCE = 1.5  # seconds an upstream has to say whether a known tag moved, before it is served
SLUGGISH = 10.0  # seconds for which an upstream that took longer is not waited for again


@dataclass(frozen=True, slots=True)
class ServedManifest:
    """A manifest for a client; `warning` says why it may be out of date, empty when it is not."""

    manifest: Manifest
    origin: CacheStatus
    warning: str = ""


class Manifests:
    """Answers manifests by tag and by digest."""

    def __init__(
        self,
        shelf: ManifestCache,
        inquiries: Revalidator,
        absences: NegativeCache,
        tags: TagSettings,
        clock: Callable[[], float],
        *,
        pulls: PullLog,
        offline: bool,
    ) -> None:
        self._shelf = shelf
        self._inquiries = inquiries
        self._absences = absences
        self._tags = tags
        self._clock = clock
        self._pulls = pulls
        self._offline = offline
        self._sluggish_until: dict[str, float] = {}
        self._log = structlog.get_logger("registry.mirror")

    async def get(
        self, repository: Repository, reference: Reference, client: str | None
    ) -> ServedManifest:
        """Return the manifest that `reference` leads to, and note that a client pulled it.

        Raises:
            ManifestUnknown: it is not there, or (offline, private) not to be had.
            UpstreamError: it is not known here, and the upstream does not say.
            StoreError: the disk or the catalog refused.
        """
        served = await self._find(repository, reference)
        self._pulls.note(repository, reference, served.manifest.digest, client)
        return served

    async def refresh(self, repository: Repository, reference: Reference) -> ServedManifest:
        """Return what the upstream says that `reference` leads to now; that is no pull.

        Raises:
            ManifestUnknown: it is not there, or (offline, private) not to be had.
            UpstreamError: the upstream does not say.
            StoreError: the disk or the catalog refused.
        """
        try:
            return await self._ask(repository, reference, may_wait=True, is_doubted=True)
        except UpstreamOffline as error:
            raise _as_unknown(repository, reference, error) from error

    async def peek(self, repository: Repository, reference: Reference) -> Manifest | None:
        """Return what `reference` leads to now if it is here, without any effect.

        Raises:
            ManifestUnknown: it is not there, or (offline, private) not to be had.
            UpstreamError: the upstream does not say.
            StoreError: the disk or the catalog refused.
        """
        try:
            return await self._inquiries.peek(repository, reference)
        except (Unknown, UpstreamDenied, UpstreamOffline) as error:
            raise _as_unknown(repository, reference, error) from error

    async def _find(self, repository: Repository, reference: Reference) -> ServedManifest:
        now = self._clock()
        known = self._remember_fresh(repository, reference, now)
        if known is None:
            # The disk may be ahead of this process's memory: another one may have asked.
            known = await self._shelf.recall(repository, reference)
        freshness = Freshness.EXPIRED if known is None else self._judge(reference, known, now)
        if known is not None and freshness is Freshness.FRESH:
            return ServedManifest(known.manifest, CacheStatus.HIT)
        absent = self._absences.find((repository, reference), now)
        try:
            if absent is not None:
                raise absent
            return await self._ask(repository, reference, may_wait=freshness is Freshness.EXPIRED)
        except (Unknown, UpstreamError) as error:
            if known is not None and freshness is Freshness.STALE:
                return self._serve_stale(repository, reference, known, error)
            if isinstance(error, UpstreamOffline):
                raise _as_unknown(repository, reference, error) from error
            raise

    def is_fresh(
        self, repository: Repository, reference: Reference, digest: Digest, client: str | None
    ) -> bool:
        """Whether `get` would return the manifest with this digest from memory, undoubted.

        If so, that counts as a pull of it by this client.
        """
        try:
            known = self._remember_fresh(repository, reference, self._clock())
        except StoreError:
            return False
        is_same = known is not None and known.manifest.digest == digest
        if is_same:
            self._pulls.note(repository, reference, digest, client)
        return is_same

    def _remember_fresh(
        self, repository: Repository, reference: Reference, now: float
    ) -> Known | None:
        known = self._shelf.remember(repository, reference, now)
        if known is None or self._judge(reference, known, now) is not Freshness.FRESH:
            return None
        return known

    def _judge(self, reference: Reference, known: Known, now: float) -> Freshness:
        if not isinstance(reference, Tag):
            return Freshness.FRESH
        return judge(self._tags, reference.name, known.checked, now, offline=self._offline)

    async def _ask(
        self,
        repository: Repository,
        reference: Reference,
        *,
        may_wait: bool,
        is_doubted: bool = False,
    ) -> ServedManifest:
        inquiry = self._inquiries.begin(repository, reference, is_doubted=is_doubted)
        if not inquiry.is_joined:
            inquiry.task.add_done_callback(lambda task: self._forgive(repository.registry, task))
        try:
            await self._await(repository.registry, inquiry, may_wait=may_wait)
            finding = inquiry.task.result()
        except (Unknown, UpstreamDenied) as error:
            # Docker Hub denies what does not exist, so a denial is remembered like an absence.
            absent = _as_unknown(repository, reference, error)
            self._absences.note((repository, reference), absent, self._clock())
            raise absent from error
        is_joined = inquiry.is_joined and finding.origin is CacheStatus.MISS
        return ServedManifest(
            finding.known.manifest, CacheStatus.JOINED if is_joined else finding.origin
        )

    async def _await(self, registry: str, inquiry: Revalidation, *, may_wait: bool) -> None:
        """Wait for an inquiry to end; raise UpstreamError when a known tag has waited enough."""
        now = self._clock()
        is_sluggish = now < self._sluggish_until.get(registry, 0.0)
        left = 0.0 if is_sluggish else max(0.0, inquiry.began + PATIENCE - now)
        await asyncio.wait([inquiry.task], timeout=None if may_wait else left)
        if not inquiry.task.done():
            # It goes on in the background, and the next request profits from its answer.
            if not is_sluggish:
                self._sluggish_until[registry] = self._clock() + SLUGGISH
            raise UpstreamError(registry, f"no answer within {PATIENCE} s")

    def _forgive(self, registry: str, task: asyncio.Task[RevalidationResult]) -> None:
        """Wait for an upstream again as soon as it answered anything, be it in the background."""
        if not task.cancelled() and not isinstance(task.exception(), UpstreamError):
            self._sluggish_until.pop(registry, None)

    def _serve_stale(
        self, repository: Repository, reference: Reference, known: Known, why: Exception
    ) -> ServedManifest:
        self._log.warning("served stale", image=f"{repository}:{reference}", why=str(why))
        return ServedManifest(known.manifest, CacheStatus.STALE, f"stale: {why}")


def _as_unknown(
    repository: Repository, reference: Reference, error: Unknown | UpstreamDenied | UpstreamOffline
) -> Unknown:
    """Make a refusal an absence: to this mirror's clients there is no such image."""
    if isinstance(error, Unknown):
        return error.copy()
    return ManifestUnknown(str(repository), str(reference), str(error))
