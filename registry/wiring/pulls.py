"""Building, opening and closing the objects that answer pulls."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cached_property

from registry.catalog.blob_access import BlobAccessCatalog
from registry.catalog.database import Database
from registry.catalog.manifests import ManifestCatalog
from registry.catalog.pulls import PullCatalog
from registry.catalog.rate_limits import RateLimitCatalog
from registry.catalog.upstream_lists import UpstreamListCatalog
from registry.content.backup import DataHandles
from registry.content.pull_log import PullLog
from registry.metrics import Metrics
from registry.mirror.blob_checks import BlobChecks
from registry.mirror.blobs import Blobs
from registry.mirror.cache_status import CacheStatus
from registry.mirror.circles import Circles
from registry.mirror.downloads import Downloads
from registry.mirror.limit_recorder import LimitRecorder
from registry.mirror.manifest_cache import ManifestCache
from registry.mirror.manifest_memory import ManifestMemory
from registry.mirror.manifests import Manifests
from registry.mirror.mirror import Mirror
from registry.mirror.negative_cache import NegativeCache
from registry.mirror.outages import Outages
from registry.mirror.prefetch import Prefetcher
from registry.mirror.prefetch_cost import CostEstimator
from registry.mirror.question_limit import QuestionLimit
from registry.mirror.referrers import ReferrerFetcher
from registry.mirror.revalidation import Revalidator
from registry.mirror.routing import UpstreamTable
from registry.mirror.tags_and_referrers import TagsAndReferrers
from registry.mirror.upstream_waits import UpstreamWaits
from registry.settings.model import Settings
from registry.store.file_locks import BestEffortLocks
from registry.tasks import Tasks
from registry.upstream.client import open_client
from registry.upstream.contract import Source
from registry.upstream.download_budget import DownloadBudget
from registry.upstream.offline import OfflineSource
from registry.upstream.via import ViaWriter, make_name
from registry.wiring.content import ContentServices, find_data_folder, open_handles
from registry.wiring.data_folder import open_database
from registry.wiring.sources import build_source, list_endpoints

MEMORY = 32 * 1024 * 1024  # bytes of manifests that one worker keeps in memory


def build_table(settings: Settings) -> UpstreamTable:
    """Make the table of upstreams by all their names."""
    aliases = {name: upstream.aliases for name, upstream in settings.upstreams.items()}
    return UpstreamTable(aliases, settings.default_upstream)


@asynccontextmanager
async def open_services(
    settings: Settings,
    handles: DataHandles,
    metrics: Metrics,
    stored: CacheStatus = CacheStatus.HIT,
    *,
    outages: Outages | None = None,
    via: ViaWriter | None = None,
) -> AsyncIterator[Mirror]:
    """Open the mirror of one worker; the end of `async with` closes its parts in reverse order.

    `stored` is the origin of content that is here, as clients see it. `outages` are shared with the
    other workers (None: there are no others), and so is `via`, the name of this mirror.
    This opens no connection, so that a worker can start without a network.

    Raises:
        StoreError: the catalog cannot be opened.
        SettingsError: a file that the settings name cannot be read.
    """
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(handles.folder))
        yield await _open_mirror(
            stack,
            settings,
            handles,
            metrics,
            database=database,
            stored=stored,
            outages=outages,
            via=via,
        )


@asynccontextmanager
async def open_warming(settings: Settings) -> AsyncIterator[tuple[Prefetcher, CostEstimator]]:
    """Open the objects for `images warm` and `images refresh`, over an existing data folder.

    Raises:
        StoreError: the catalog cannot be opened.
        SettingsError: there is no data folder, or a file in the settings cannot be read.
    """
    handles = open_handles(find_data_folder(settings))
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(handles.folder))
        mirror = await _open_mirror(stack, settings, handles, Metrics(), database=database)
        manifests, blobs = mirror.manifests, mirror.blobs
        prefetcher = Prefetcher(manifests, blobs, ReferrerFetcher(manifests, mirror.lists))
        endpoints = {
            name: list_endpoints(name, upstream) for name, upstream in settings.upstreams.items()
        }
        limits = RateLimitCatalog(database)
        yield prefetcher, CostEstimator(manifests, blobs, limits, endpoints, time.time)


async def _open_mirror(
    stack: AsyncExitStack,
    settings: Settings,
    handles: DataHandles,
    metrics: Metrics,
    *,
    database: Database,
    stored: CacheStatus = CacheStatus.HIT,
    outages: Outages | None = None,
    via: ViaWriter | None = None,
) -> Mirror:
    via = via or ViaWriter(make_name())
    own_ports = frozenset({settings.server.listen.port, settings.server.console.port})
    tasks = await stack.enter_async_context(Tasks())
    recorder = LimitRecorder(RateLimitCatalog(database), tasks, metrics)
    sources: dict[str, Source] = {}
    for name, upstream in settings.upstreams.items():
        if settings.offline:
            sources[name] = OfflineSource(name)
        else:
            client = await stack.enter_async_context(open_client(name, upstream, via, own_ports))
            sources[name] = build_source(name, upstream, client, recorder.note)
    services = _PullServices(
        settings,
        handles,
        metrics,
        database,
        sources=sources,
        tasks=tasks,
        stored=stored,
        outages=outages,
        via=via,
    )
    return services.build_mirror()


class _PullServices:
    """The objects that answer the pulls of one worker."""

    def __init__(
        self,
        settings: Settings,
        handles: DataHandles,
        metrics: Metrics,
        database: Database,
        *,
        sources: dict[str, Source],
        tasks: Tasks,
        stored: CacheStatus = CacheStatus.HIT,
        outages: Outages | None = None,
        via: ViaWriter | None = None,
    ) -> None:
        self._settings = settings
        self._via = via or ViaWriter(make_name())
        self._handles = handles
        self._metrics = metrics
        self._database = database
        self._sources = sources
        self._tasks = tasks
        self._stored = stored
        self._content = ContentServices(settings, handles, metrics, database)
        self._manifest_catalog = ManifestCatalog(database)
        self._negative_cache = NegativeCache(settings.tags.missing_for)
        self._clock = time.time
        limit = settings.limits.not_found_per_address
        self._questions = QuestionLimit(limit, metrics, time.monotonic)
        self._waits = UpstreamWaits(time.time, outages or Outages(), settings.tags.wait_for)

    @cached_property
    def _pulls(self) -> PullLog:
        return PullLog(PullCatalog(self._database), self._clock)

    def build_mirror(self) -> Mirror:
        """Return the mirror of this worker."""
        return Mirror(
            table=build_table(self._settings),
            via=self._via,
            circles=Circles(self._sources),
            manifests=self._build_manifests(),
            blobs=self._build_blobs(),
            lists=self._build_lists(),
        )

    def _build_manifests(self) -> Manifests:
        tags, clock = self._settings.tags, self._clock
        self._tasks.keep(self._pulls.keep_flushing())
        cache = ManifestCache(
            ManifestMemory(MEMORY), self._manifest_catalog, self._content.manifests
        )
        self._tasks.keep(cache.keep_watching())
        self._tasks.keep(cache.keep_storing())
        locks = BestEffortLocks(self._handles.folder.locks)
        revalidator = Revalidator(
            self._sources,
            cache,
            locks,
            self._tasks,
            tags=tags,
            clock=clock,
            metrics=self._metrics,
        )
        return Manifests(
            cache,
            revalidator,
            self._negative_cache,
            tags,
            clock,
            waits=self._waits,
            questions=self._questions,
            pulls=self._pulls,
            offline=self._settings.offline,
            stored=self._stored,
        )

    def _build_blobs(self) -> Blobs:
        content, upstreams = self._content.content, self._settings.upstreams
        limits = self._settings.limits
        budget = DownloadBudget(limits.download_memory, limits.download_connections)
        return Blobs(
            self._sources,
            {name: upstream.connections for name, upstream in upstreams.items()},
            catalog=BlobAccessCatalog(self._database),
            content=content,
            downloads=Downloads(content, self._tasks, self._clock, self._metrics, budget),
            checks=BlobChecks(
                self._sources, self._negative_cache, self._tasks, self._clock, self._questions
            ),
            pulls=self._pulls,
            metrics=self._metrics,
            stored=self._stored,
        )

    def _build_lists(self) -> TagsAndReferrers:
        return TagsAndReferrers(
            self._sources,
            UpstreamListCatalog(self._database),
            self._manifest_catalog,
            self._negative_cache,
            self._tasks,
            waits=self._waits,
            questions=self._questions,
            tags=self._settings.tags,
            clock=self._clock,
        )
