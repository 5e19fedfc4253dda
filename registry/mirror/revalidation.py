"""Questions to upstreams about manifests: each asked once, however many wait for the answer."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from registry.mirror.cache_status import CacheStatus
from registry.mirror.freshness import Freshness, judge
from registry.mirror.manifest_cache import ManifestCache
from registry.mirror.manifest_memory import Known
from registry.oci.digest import Digest
from registry.oci.manifest import Manifest
from registry.oci.names import Reference, Repository, Tag
from registry.settings.model import TagSettings
from registry.store.file_locks import BestEffortLocks
from registry.tasks import Tasks
from registry.upstream.contract import Source


@dataclass(frozen=True, slots=True)
class RevalidationResult:
    """The answer to an inquiry, and how it was come by."""

    known: Known
    origin: CacheStatus


@dataclass(frozen=True, slots=True)
class Revalidation:
    """A running inquiry, when it began (epoch seconds), and whether another request began it."""

    task: asyncio.Task[RevalidationResult]
    began: float
    is_joined: bool = False


class Revalidator:
    """Asks upstreams; the asking goes on when whoever asked has left."""

    def __init__(
        self,
        sources: Mapping[str, Source],
        shelf: ManifestCache,
        locks: BestEffortLocks,
        tasks: Tasks,
        *,
        tags: TagSettings,
        clock: Callable[[], float],
    ) -> None:
        self._sources = sources
        self._shelf = shelf
        self._locks = locks
        self._tasks = tasks
        self._tags = tags
        self._clock = clock
        self._running: dict[tuple[Repository, Reference], Revalidation] = {}

    def begin(
        self, repository: Repository, reference: Reference, *, is_doubted: bool = False
    ) -> Revalidation:
        """Return the running inquiry about `reference`, starting it if there is none.

        What is known and fresh is not asked for, unless `is_doubted`.

        Its task raises Unknown or UpstreamError when nothing was found, StoreError when the disk
        or the catalog refused.
        """
        key = (repository, reference)
        running = self._running.get(key)
        if running is not None:
            return replace(running, is_joined=True)
        asking = self._inquire(repository, reference, is_doubted=is_doubted)
        inquiry = Revalidation(self._tasks.start(asking), self._clock())
        self._running[key] = inquiry
        inquiry.task.add_done_callback(lambda _: self._running.pop(key, None))
        return inquiry

    async def peek(self, repository: Repository, reference: Reference) -> Manifest | None:
        """Return what `reference` leads to if its bytes are here; a HEAD asks, nothing is kept.

        Raises:
            Unknown, UpstreamError, StoreError: the upstream, or the disk, does not say.
        """
        digest: Digest | None
        if isinstance(reference, Digest):
            digest = reference
        else:
            digest = await self._sources[repository.registry].head_manifest(
                repository.name, reference
            )
        return None if digest is None else await self._shelf.recall_bytes(digest)

    async def _inquire(
        self, repository: Repository, reference: Reference, *, is_doubted: bool
    ) -> RevalidationResult:
        # The same question from another process: only one of us asks, the other finds it answered.
        async with self._locks.try_hold(f"{repository}:{reference}"):
            known = await self._shelf.recall(repository, reference)
            if known is not None and self._is_settled(reference, known, is_doubted=is_doubted):
                return RevalidationResult(known, CacheStatus.HIT)
            if isinstance(reference, Digest):
                return await self._fetch(repository, reference)
            return await self._follow(repository, reference, known)

    def _is_settled(self, reference: Reference, known: Known, *, is_doubted: bool) -> bool:
        if isinstance(reference, Digest):
            return True
        if is_doubted:
            return False
        found = judge(self._tags, reference.name, known.checked, self._clock(), offline=False)
        return found is Freshness.FRESH

    async def _fetch(self, repository: Repository, digest: Digest) -> RevalidationResult:
        source = self._sources[repository.registry]
        manifest = await self._shelf.recall_bytes(digest)
        if manifest is not None:
            # Another repository has the bytes. A HEAD tells whether this one may, for free.
            if not self._shelf.is_promised(repository, digest):
                await source.head_manifest(repository.name, digest)
            origin = CacheStatus.REVALIDATED
        else:
            manifest = await source.get_manifest(repository.name, digest)
            origin = CacheStatus.MISS
        return RevalidationResult(
            await self._shelf.keep(repository, digest, manifest, self._clock()), origin
        )

    async def _follow(
        self, repository: Repository, tag: Tag, known: Known | None
    ) -> RevalidationResult:
        source = self._sources[repository.registry]
        digest = await source.head_manifest(repository.name, tag)
        if known is not None and digest == known.manifest.digest:
            known = await self._shelf.confirm(repository, tag, known.manifest, self._clock())
            return RevalidationResult(known, CacheStatus.REVALIDATED)
        manifest = await self._shelf.recall_bytes(digest) if digest is not None else None
        origin = CacheStatus.REVALIDATED
        if manifest is None:
            # By digest where it is known, so that the tag cannot move between the two requests.
            manifest = await source.get_manifest(repository.name, digest or tag)
            origin = CacheStatus.MISS
        return RevalidationResult(
            await self._shelf.keep(repository, tag, manifest, self._clock()), origin
        )
