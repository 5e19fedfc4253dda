"""How the mirror answers a request for a manifest.

A manifest that is known and fresh is served at once. For other manifests the upstream is asked.
"""

from collections.abc import Callable
from dataclasses import dataclass

from registry.content.pull_log import PullLog
from registry.errors import (
    ManifestUnknown,
    StoreError,
    Unknown,
    UpstreamDenied,
    UpstreamError,
    UpstreamOffline,
)
from registry.logs import get_logger
from registry.mirror.cache_status import CacheStatus
from registry.mirror.freshness import Freshness, find_freshness
from registry.mirror.gone_tags import GoneTags
from registry.mirror.manifest_cache import ManifestCache
from registry.mirror.manifest_memory import KnownManifest
from registry.mirror.mirror_rules import MirrorRules
from registry.mirror.negative_cache import NegativeCache
from registry.mirror.question_limit import QuestionLimit
from registry.mirror.revalidation import Revalidator
from registry.mirror.upstream_waits import UpstreamWaits
from registry.oci.digest import Digest
from registry.oci.manifest import Manifest
from registry.oci.names import Reference, Repository, Tag
from registry.oci.referrers_tags import is_referrers_tag
from registry.settings.model import TagSettings
from registry.upstream.contract import Fallback
from registry.upstream.outcomes import name_outcome


@dataclass(frozen=True, slots=True)
class ServedManifest:
    """A manifest for a client; `warning` says why it may be the wrong one (empty: it is not)."""

    manifest: Manifest
    origin: CacheStatus
    warning: str = ""


class Manifests:
    """Finds manifests by tag and by digest for clients and for prefetching."""

    def __init__(
        self,
        cache: ManifestCache,
        revalidator: Revalidator,
        missing: NegativeCache,
        tags: TagSettings,
        clock: Callable[[], float],
        *,
        rules: MirrorRules,
        waits: UpstreamWaits,
        questions: QuestionLimit,
        pulls: PullLog,
        offline: bool,
        gone: GoneTags,
        stored: CacheStatus = CacheStatus.HIT,
        count_stale: Callable[[str, str], None] = lambda _upstream, _why: None,
    ) -> None:
        """`stored` is the origin of manifests that are here.

        `count_stale` gets upstream and reason of each stale manifest.

        `rules` are asked by what clients do not ask for; their requests were checked before.
        """
        self._rules = rules
        self._cache = cache
        self._revalidator = revalidator
        self._missing = missing
        self._tags = tags
        self._clock = clock
        self._waits = waits
        self._questions = questions
        self._pulls = pulls
        self._offline = offline
        self._gone = gone
        self._stored = stored
        self._count_stale = count_stale
        self._log = get_logger("registry.mirror")

    async def get(
        self, repository: Repository, reference: Reference, client: str | None
    ) -> ServedManifest:
        """Return the manifest that `reference` leads to, and note that a client pulled it.

        Raises:
            ManifestUnknown: the repository does not have the manifest. Or it is not stored, and the
                mirror is offline or the upstream denies it to the mirror.
            UpstreamError: the manifest is not stored, and the upstream does not answer.
            TagTooNew: the manifest is not known for long enough, and there is no former one.
            TooManyUnknown: the client has asked for too much that does not exist.
            StoreError: the disk or the catalog refused.
        """
        served = await self._find(repository, reference, client)
        await self._pulls.record(repository, reference, served.manifest.digest, client)
        return served

    async def refresh(self, repository: Repository, reference: Reference) -> ServedManifest:
        """Ask the upstream what `reference` leads to, and return it; this is not noted as a pull.

        Raises:
            ManifestUnknown: the repository does not have it, or the mirror is offline, or the
                upstream does not let the mirror have it.
            UpstreamError: the upstream does not answer the question.
            NotMirrored: the settings do not let it be mirrored, or not yet.
            StoreError: the disk or the catalog refused.
        """
        self._rules.check(repository, reference)
        try:
            return await self._ask(repository, reference, must_ask=True)
        except UpstreamOffline as error:
            raise _as_unknown(repository, reference, error) from error

    async def find_stored(self, repository: Repository, reference: Reference) -> Manifest | None:
        """Return the manifest that `reference` leads to now, or None if it is not stored here.

        The upstream is asked for the digest of a tag. Nothing is stored or recorded.

        Raises:
            ManifestUnknown: the repository does not have it, or the mirror is offline, or the
                upstream does not let the mirror have it.
            UpstreamError: the upstream does not answer the question.
            NotMirrored: the settings do not let it be mirrored, or not yet.
            StoreError: the disk or the catalog refused.
        """
        self._rules.check(repository, reference)
        try:
            return await self._revalidator.find_stored(repository, reference)
        except (Unknown, UpstreamDenied, UpstreamOffline) as error:
            raise _as_unknown(repository, reference, error) from error

    async def _find(
        self, repository: Repository, reference: Reference, client: str | None
    ) -> ServedManifest:
        now = self._clock()
        known, freshness = self._remember_fresh(repository, reference, now), Freshness.FRESH
        if known is None:
            # Another process may have stored the manifest, or asked the upstream, in the meantime.
            known, freshness = await self._cache.recall(repository, reference), Freshness.EXPIRED
            if known is not None:
                freshness = self._find_freshness(reference, known, now)
        if known is not None and freshness is Freshness.FRESH:
            return ServedManifest(known.manifest, self._stored, known.warning)
        try:
            missing = self._missing.find((repository, reference), now)
            if missing is not None:
                raise missing
            fallback = _find_fallback(reference, freshness)
            # Whoever asks for what is known, or joins the question of another, needs no token.
            is_new = known is None and not self._revalidator.is_running(repository, reference)
            async with self._questions.hold(client if is_new else None):
                return await self._ask(repository, reference, fallback=fallback)
        except (Unknown, UpstreamError) as error:
            if known is not None and freshness is Freshness.STALE:
                if isinstance(reference, Tag) and known.hold.is_due(now):
                    known = await self._revalidator.settle(repository, reference, known)
                return self._serve_stale(repository, reference, known, error)
            # Clients ask for the referrers of each image that they pull. Without an answer, they
            # pull the image itself only if this is "not found" and no error.
            is_unknown = isinstance(error, UpstreamError) and is_referrers_tag(reference)
            if is_unknown or isinstance(error, UpstreamOffline):
                raise ManifestUnknown(str(repository), str(reference), error) from error
            raise

    def is_fresh(
        self, repository: Repository, reference: Reference, digest: Digest, client: str | None
    ) -> bool:
        """Whether `get` would return this manifest from memory, without waiting, or a warning.

        If so, this notes a pull by the client.
        """
        try:
            known = self._remember_fresh(repository, reference, self._clock())
        except StoreError:
            return False
        is_same = known is not None and known.manifest.digest == digest and not known.warning
        is_same = is_same and self._pulls.is_recorded(repository, digest)
        if is_same:
            self._pulls.note(repository, reference, digest, client)
        return is_same

    def _remember_fresh(
        self, repository: Repository, reference: Reference, now: float
    ) -> KnownManifest | None:
        known = self._cache.remember(repository, reference)
        if known is None or self._find_freshness(reference, known, now) is not Freshness.FRESH:
            return None
        return known

    def _find_freshness(self, reference: Reference, known: KnownManifest, now: float) -> Freshness:
        if not isinstance(reference, Tag):
            return Freshness.FRESH
        return find_freshness(
            self._tags,
            reference.name,
            known.checked,
            now,
            offline=self._offline,
            hold=known.hold,
        )

    async def _ask(
        self,
        repository: Repository,
        reference: Reference,
        *,
        fallback: Fallback = Fallback.NONE,
        must_ask: bool = False,
    ) -> ServedManifest:
        revalidation = self._revalidator.begin(
            repository, reference, must_ask=must_ask, fallback=fallback
        )
        if not revalidation.is_joined:
            self._waits.watch(
                repository, revalidation.task, was_asked=lambda found: found.was_asked
            )
        try:
            await self._waits.wait(
                repository, revalidation.task, fallback, since=revalidation.began
            )
            result = revalidation.task.result()
        except (Unknown, UpstreamDenied) as error:
            # Docker Hub denies what does not exist, so a denial is remembered as "not found".
            unknown = _as_unknown(repository, reference, error)
            self._missing.add((repository, reference), unknown, self._clock())
            await self._gone.note(repository, reference)
            raise unknown from error
        is_joined = revalidation.is_joined and result.origin is CacheStatus.MISS
        origin = CacheStatus.JOINED if is_joined else result.origin
        return ServedManifest(result.known.manifest, origin, result.known.warning)

    def _serve_stale(
        self,
        repository: Repository,
        reference: Reference,
        known: KnownManifest,
        why: Unknown | UpstreamError,
    ) -> ServedManifest:
        self._count_stale(repository.registry, name_outcome(why))
        self._log.warning("stale manifest served", image=f"{repository}:{reference}", why=str(why))
        warning = "; ".join(filter(None, (f"stale: {why.public}", known.warning)))
        return ServedManifest(known.manifest, CacheStatus.STALE, warning)


def _find_fallback(reference: Reference, freshness: Freshness) -> Fallback:
    if freshness is Freshness.STALE:
        return Fallback.KNOWN
    return Fallback.EMPTY if is_referrers_tag(reference) else Fallback.NONE


def _as_unknown(
    repository: Repository, reference: Reference, error: Unknown | UpstreamDenied | UpstreamOffline
) -> Unknown:
    """Return "not found" for an upstream's refusal, because clients cannot have the manifest."""
    if isinstance(error, Unknown):
        return error.copy()
    return ManifestUnknown(str(repository), str(reference), error)
