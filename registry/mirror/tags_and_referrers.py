"""How the mirror answers lists: the tags of a repository, the referrers of a digest."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from registry.catalog.manifests import ManifestCatalog, Referrer
from registry.catalog.upstream_lists import UpstreamListCatalog
from registry.errors import (
    NameUnknown,
    ReferrersUnsupported,
    StoreError,
    Unknown,
    UpstreamDenied,
    UpstreamError,
    UpstreamOffline,
)
from registry.mirror.cache_status import CacheStatus
from registry.mirror.negative_cache import NegativeCache
from registry.oci.digest import Digest
from registry.oci.names import Repository
from registry.settings.model import TagSettings
from registry.tasks import Tasks
from registry.upstream.contract import Source

TAGS = "tags"  # the subject under which the catalog has the tags of a repository


@dataclass(frozen=True, slots=True)
class ServedList:
    """A list for a client; `warning` says why it may be incomplete or out of date."""

    entries: list[Any]
    origin: CacheStatus
    warning: str = ""


class TagsAndReferrers:
    """Finds lists: fresh ones in the catalog, others at the upstream.

    If the upstream does not answer, the last list is served although it is not fresh.
    """

    def __init__(
        self,
        sources: Mapping[str, Source],
        lists: UpstreamListCatalog,
        manifests: ManifestCatalog,
        missing: NegativeCache,
        tasks: Tasks,
        *,
        tags: TagSettings,
        clock: Callable[[], float],
    ) -> None:
        self._sources = sources
        self._lists = lists
        self._manifests = manifests
        self._missing = missing
        self._tasks = tasks
        self._tags = tags
        self._clock = clock
        self._log = structlog.get_logger("registry.mirror")

    async def list_tags(self, repository: Repository) -> ServedList:
        """Return the tags of a repository in ASCII order.

        Raises:
            NameUnknown: the upstream does not have the repository. Or the mirror knows no tags, and
                is offline or the upstream denies it the list.
            UpstreamError: the upstream does not answer, and no earlier list is recorded.
        """
        source = self._sources[repository.registry]
        try:
            return await self._get(repository, TAGS, lambda: source.list_tags(repository.name))
        except (UpstreamOffline, UpstreamDenied) as error:
            seen = self._manifests.list_tags(repository)
            if not seen:
                raise NameUnknown(str(repository)) from error
            return ServedList(seen, CacheStatus.STALE, "only the tags pulled through this mirror")

    async def list_referrers(self, repository: Repository, digest: Digest) -> ServedList:
        """Return the descriptors of the manifests that refer to `digest`.

        Raises:
            ReferrersUnsupported: the upstream has no referrers API or denies it, or the mirror is
                offline and knows no referrers; clients then use the referrers tag scheme.
            UpstreamError: the upstream does not answer, and no earlier list is recorded. An empty
                list would hide signatures.
        """
        source = self._sources[repository.registry]
        try:
            return await self._get(
                repository, str(digest), lambda: source.list_referrers(repository.name, digest)
            )
        except UpstreamOffline as error:
            seen = [_describe(each) for each in self._manifests.list_referrers(repository, digest)]
            if not seen:
                raise ReferrersUnsupported(str(repository)) from error
            return ServedList(
                seen, CacheStatus.STALE, "only the referrers pulled through this mirror"
            )
        except UpstreamDenied as error:
            raise ReferrersUnsupported(str(repository)) from error

    def list_repositories(self) -> list[str]:
        """Return every repository that has a manifest, as registry/name."""
        return self._manifests.list_repositories()

    async def _get(
        self, repository: Repository, subject: str, ask: Callable[[], Awaitable[list[Any]]]
    ) -> ServedList:
        now = self._clock()
        record = self._lists.find(repository, subject)
        if record is not None and abs(now - record.checked) <= self._tags.fresh_for:
            return ServedList(record.entries, CacheStatus.HIT)
        key = (repository, subject)
        if (error := self._missing.find(key, now)) is not None:
            raise error
        try:
            entries = await asyncio.shield(
                self._tasks.share(key, lambda: self._fetch(repository, subject, ask))
            )
        except UpstreamError as error:
            if record is None:
                raise
            return ServedList(record.entries, CacheStatus.STALE, f"stale: {error}")
        return ServedList(entries, CacheStatus.MISS)

    async def _fetch(
        self, repository: Repository, subject: str, ask: Callable[[], Awaitable[list[Any]]]
    ) -> list[Any]:
        try:
            entries = await ask()
        except Unknown as error:
            # Added in this task, and not by the waiting requests: a new request may run before
            # them.
            self._missing.add((repository, subject), error, self._clock())
            raise
        try:
            await self._lists.record(repository, subject, entries, self._clock())
        except StoreError as error:  # then the upstream is asked again the next time
            self._log.error("list not recorded", repository=str(repository), why=str(error))
        return entries


def _describe(referrer: Referrer) -> dict[str, Any]:
    """Return the descriptor of a manifest for a referrers list (image-spec, descriptor.md)."""
    described: dict[str, Any] = {
        "mediaType": referrer.descriptor.media_type,
        "digest": str(referrer.descriptor.digest),
        "size": referrer.descriptor.size,
    }
    if referrer.artifact_type:
        described["artifactType"] = referrer.artifact_type
    if referrer.annotations:
        described["annotations"] = referrer.annotations
    return described
