"""Manifests that tags serve although their upstream says another one (decision record 0041)."""

from collections.abc import Callable, Mapping

from registry.catalog.tag_hold import TagHold
from registry.errors import StoreError, Unknown
from registry.logs import get_logger
from registry.metrics.process_metrics import Metrics
from registry.mirror.cache_status import CacheStatus
from registry.mirror.manifest_cache import ManifestCache
from registry.mirror.manifest_memory import KnownManifest
from registry.mirror.tag_decisions import ChosenDigest, TagDecisions
from registry.oci.manifest import Manifest
from registry.oci.names import Repository, Tag
from registry.upstream.contract import Source

AGAIN = 60.0  # seconds after which it is decided again about a manifest that is not stored


class FormerManifests:
    """Finds them, and decides again what a tag serves while its upstream does not answer."""

    def __init__(
        self,
        cache: ManifestCache,
        decisions: TagDecisions,
        sources: Mapping[str, Source],
        clock: Callable[[], float],
        metrics: Metrics,
    ) -> None:
        self._cache = cache
        self._decisions = decisions
        self._sources = sources
        self._clock = clock
        self._metrics = metrics
        self._log = get_logger("registry.mirror")

    async def find(
        self, repository: Repository, chosen: ChosenDigest
    ) -> tuple[Manifest, CacheStatus] | None:
        """Return a manifest by its digest, from here or from the upstream, and its origin.

        Returns None if nobody has it, and no operator has chosen it.

        Raises:
            Unknown: nobody has the manifest that an operator has chosen.
            UpstreamError: the upstream does not send it.
            StoreError: the disk or the catalog refused.
        """
        held = await self._cache.recall(repository, chosen.digest)
        if held is not None:
            return held.manifest, CacheStatus.REVALIDATED
        source = self._sources[repository.registry]
        try:
            manifest = await source.get_manifest(repository.name, chosen.digest)
        except Unknown:
            if chosen.hold.is_rolled_back:
                raise
            return None
        self._metrics.downloaded_bytes.labels(repository.registry).inc(len(manifest.raw))
        return manifest, CacheStatus.MISS

    async def settle(self, repository: Repository, tag: Tag, known: KnownManifest) -> KnownManifest:
        """Decide again what a tag serves whose upstream does not answer; return what is known.

        Another manifest than `known` is served only if the repository has it here. If the disk or
        the catalog refuses, that is logged, and `known` is served.
        """
        try:
            return await self._settle(repository, tag, known)
        except StoreError as error:
            self._log.error("tag check not recorded", image=f"{repository}:{tag}", why=str(error))
            return known

    async def _settle(
        self, repository: Repository, tag: Tag, known: KnownManifest
    ) -> KnownManifest:
        chosen = await self._decisions.choose_again(repository, tag, known)
        if chosen.digest == known.manifest.digest:
            return await self._cache.hold(repository, tag, known, chosen.hold, chosen.warning)
        other = await self._cache.recall(repository, chosen.digest)
        if other is None:
            hold = TagHold(self._clock() + AGAIN, chosen.hold.is_rolled_back)
            return await self._cache.hold(repository, tag, known, hold, known.warning)
        manifest, warning = other.manifest, chosen.warning
        return await self._cache.keep(
            repository, tag, manifest, known.checked, warning=warning, hold=chosen.hold
        )
