"""How the mirror answers lists: the tags of a repository, the referrers of a digest."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from registry.catalog.manifests import ManifestCatalog, Referrer
from registry.catalog.upstream_lists import UpstreamListCatalog
from registry.errors import (
    DigestInvalid,
    NameUnknown,
    ReferrersUnsupported,
    StoreError,
    Unknown,
    UpstreamDenied,
    UpstreamError,
    UpstreamOffline,
)
from registry.logs import get_logger
from registry.mirror.cache_status import CacheStatus
from registry.mirror.negative_cache import NegativeCache
from registry.mirror.question_limit import QuestionLimit
from registry.mirror.upstream_waits import UpstreamWaits
from registry.oci.digest import Digest
from registry.oci.names import Repository
from registry.settings.model import TagSettings
from registry.tasks import Tasks
from registry.upstream.contract import Fallback, Source, UpstreamList
from registry.upstream.pagination import SMALL_LIST
from registry.upstream.via import names_passed

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
        waits: UpstreamWaits,
        questions: QuestionLimit,
        tags: TagSettings,
        clock: Callable[[], float],
    ) -> None:
        self._sources = sources
        self._lists = lists
        self._manifests = manifests
        self._missing = missing
        self._tasks = tasks
        self._waits = waits
        self._questions = questions
        self._tags = tags
        self._clock = clock
        self._turn = asyncio.Lock()
        self._log = get_logger("registry.mirror")

    def take_turn(
        self, repository: Repository, subject: str = TAGS
    ) -> AbstractAsyncContextManager[None]:
        """Return what a caller holds while it finds a list and makes an answer of it.

        Of long lists in the catalog, there is one at a time: each takes tens of megabytes while it
        is read, and many clients may ask at once. Short ones need no turn.
        """
        is_long = self._lists.is_longer(repository, subject, SMALL_LIST)
        return self._turn if is_long else nullcontext()

    async def list_tags(self, repository: Repository, client: str | None = None) -> ServedList:
        """Return the tags of a repository in ASCII order.

        `client` is the address of who asks; None stands for the mirror itself.

        Raises:
            NameUnknown: the upstream does not have the repository. Or the mirror knows no tags, and
                is offline or the upstream denies it the list.
            UpstreamError: the upstream does not answer, and no tags are known.
            TooManyUnknown: the client has asked for too much that does not exist.
        """
        ask = partial(self._sources[repository.registry].list_tags, repository.name)
        fallback = Fallback.EMPTY if self._manifests.has_tags(repository) else Fallback.NONE
        try:
            return await self._get(repository, TAGS, ask, client, fallback=fallback)
        except UpstreamError as error:
            if seen := self._manifests.list_tags(repository):
                return ServedList(seen, CacheStatus.STALE, "only the tags pulled by this mirror")
            if isinstance(error, UpstreamOffline | UpstreamDenied):
                raise NameUnknown(str(repository)) from error
            raise

    async def list_referrers(
        self,
        repository: Repository,
        digest: Digest,
        client: str | None = None,
        *,
        must_ask: bool = False,
    ) -> ServedList:
        """Return the descriptors of the manifests that refer to `digest`; see also `list_tags`.

        If the upstream does not answer, these are the referrers that were pulled through this
        mirror, or none. Clients ask for the referrers of each image, and an error would fail the
        pull. With `must_ask` the upstream is asked also if a list is fresh, and it is an error if
        it does not answer. A repository that ever listed referrers does so for every digest
        (distribution-spec, "Listing Referrers").

        Raises:
            ReferrersUnsupported: the upstream has no referrers API for this repository, or denies
                it; clients then use the referrers tag scheme.
            UpstreamError: with `must_ask`, the upstream does not answer.
            TooManyUnknown: the client has asked for too much that does not exist.
        """
        api = self._find_referrers_api(repository)
        is_supported = api is not None and api[0]
        ask = partial(self._sources[repository.registry].list_referrers, repository.name, digest)
        fallback = Fallback.NONE if must_ask else Fallback.EMPTY
        try:
            served = await self._get(
                repository, str(digest), ask, client, fallback=fallback, must_ask=must_ask
            )
        except (ReferrersUnsupported, UpstreamDenied) as error:
            if not is_supported:
                raise await self._note_unsupported(repository, error) from error
            if must_ask:
                raise
            return self._list_known_referrers(repository, digest)
        except UpstreamError as error:
            # What is true for the registry is likely true for a repository that was never asked.
            is_likely = is_supported if api else self._has_referrers_api(repository.registry)
            if must_ask and (is_likely or api is None) and not isinstance(error, UpstreamOffline):
                raise
            if not is_likely:
                raise ReferrersUnsupported(str(repository)) from error
            return self._list_known_referrers(repository, digest)
        if served.origin is CacheStatus.STALE:
            return self._leave_out_missing(repository, served)
        if not is_supported:
            await self._record_referrers_api(repository, is_supported=True)
        return served

    def _find_referrers_api(self, repository: Repository) -> tuple[bool, float] | None:
        """Return what is recorded of the API; raise if the upstream has just said it has none."""
        api = self._lists.find_referrers_api(repository)
        if api is not None and not api[0] and self._is_fresh(api[1]):
            raise ReferrersUnsupported(str(repository))
        return api

    async def _note_unsupported(
        self, repository: Repository, error: Exception
    ) -> ReferrersUnsupported:
        if isinstance(error, ReferrersUnsupported):
            await self._record_referrers_api(repository, is_supported=False)
        return ReferrersUnsupported(str(repository))

    def _has_referrers_api(self, registry: str) -> bool:
        return self._lists.has_referrers_api(registry) is not False

    def _leave_out_missing(self, repository: Repository, served: ServedList) -> ServedList:
        """Return a list without the manifests that are not stored.

        Clients download what is listed, and a referrer that cannot be downloaded fails the pull of
        the image.
        """
        entries = [each for each in served.entries if self._is_stored(repository, each)]
        missing = len(served.entries) - len(entries)
        if not missing:
            return served
        warning = f"{missing} referrers that are not stored here are left out; {served.warning}"
        return replace(served, entries=entries, warning=warning)

    def _is_stored(self, repository: Repository, entry: dict[str, Any]) -> bool:
        try:
            digest = Digest.parse(str(entry.get("digest")))
        except DigestInvalid:
            return False
        held = self._manifests.find_held(repository, digest)
        return held is not None and self._manifests.is_stored(digest)

    def _list_known_referrers(self, repository: Repository, digest: Digest) -> ServedList:
        seen = [_describe(each) for each in self._manifests.list_referrers(repository, digest)]
        return ServedList(seen, CacheStatus.STALE, "only the referrers pulled through this mirror")

    async def _record_referrers_api(self, repository: Repository, *, is_supported: bool) -> None:
        try:
            await self._lists.record_referrers_api(
                repository, self._clock(), is_supported=is_supported
            )
        except StoreError as error:  # then the upstream is asked again the next time
            self._log.error("list not recorded", repository=str(repository), why=str(error))

    def _is_fresh(self, checked: float) -> bool:
        return abs(self._clock() - checked) <= self._tags.fresh_for

    async def _get(
        self,
        repository: Repository,
        subject: str,
        ask: Callable[..., Awaitable[UpstreamList]],
        client: str | None,
        *,
        fallback: Fallback,
        must_ask: bool = False,
    ) -> ServedList:
        """Return a list; `fallback` is what the caller has if none is recorded.

        With `must_ask`, a recorded list is served only if the mirror is offline.
        """
        record = self._lists.find(repository, subject)
        if record is not None and self._is_fresh(record.checked) and not must_ask:
            return ServedList(record.entries, CacheStatus.HIT, record.warning)
        key = _make_key(repository, subject)
        if (error := self._missing.find(key, self._clock())) is not None:
            raise error
        fallback = fallback if record is None or must_ask else Fallback.KNOWN
        is_new = record is None and not self._tasks.is_running((key, names_passed()))
        try:
            async with self._questions.hold(client if is_new else None) as question:
                found = await self._ask(
                    repository, subject, partial(ask, fallback=fallback), fallback
                )
                question.is_empty = not found.entries
        except UpstreamError as failure:
            if record is None or (must_ask and not isinstance(failure, UpstreamOffline)):
                raise
            return ServedList(record.entries, CacheStatus.STALE, f"stale: {failure.public}")
        return ServedList(found.entries, CacheStatus.MISS, found.warning)

    async def _ask(
        self,
        repository: Repository,
        subject: str,
        ask: Callable[[], Awaitable[UpstreamList]],
        fallback: Fallback,
    ) -> UpstreamList:
        """Ask the upstream, or join those who do, for as long as `fallback` allows."""
        key, is_long = (_make_key(repository, subject), names_passed()), subject == TAGS
        task = self._tasks.share(key, lambda: self._fetch(repository, subject, ask))
        self._waits.watch(repository, task, is_long=is_long)
        await self._waits.wait(repository, task, fallback, is_long=is_long)
        return task.result()

    async def _fetch(
        self, repository: Repository, subject: str, ask: Callable[[], Awaitable[UpstreamList]]
    ) -> UpstreamList:
        try:
            found = await ask()
        except Unknown as error:
            # Added in this task, and not by the waiting requests: a new request may run before
            # them.
            self._missing.add(_make_key(repository, subject), error, self._clock())
            raise
        try:
            await self._lists.record(
                repository, subject, found.entries, self._clock(), warning=found.warning
            )
        except StoreError as error:  # then the upstream is asked again the next time
            self._log.error("list not recorded", repository=str(repository), why=str(error))
        return found


def _make_key(repository: Repository, subject: str) -> tuple[str, Repository, str]:
    # The word "list" is needed: questions about manifests use the same cache and tasks.
    return ("list", repository, subject)


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
