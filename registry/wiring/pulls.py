"""The only composition root: what is made of what, and in which order it opens and closes."""

import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import httpx

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
from registry.mirror.downloads import Downloads
from registry.mirror.manifest_cache import ManifestCache, ManifestMemory
from registry.mirror.manifests import Manifests
from registry.mirror.mirror import Mirror
from registry.mirror.negative_cache import NegativeCache
from registry.mirror.prefetch import Prefetcher
from registry.mirror.prefetch_cost import CostEstimator
from registry.mirror.referrers import ReferrerFetcher
from registry.mirror.revalidation import Revalidator
from registry.mirror.routing import UpstreamTable
from registry.mirror.tags_and_referrers import TagsAndReferrers
from registry.oci.rate_limits import RateLimit
from registry.settings.model import Settings, UpstreamSettings
from registry.store.file_locks import BestEffortLocks
from registry.tasks import Tasks
from registry.upstream.auth import Login, TokenCache
from registry.upstream.client import load_trust, open_client
from registry.upstream.contract import Source
from registry.upstream.credentials import find_credentials
from registry.upstream.endpoint import Endpoint
from registry.upstream.failover import EndpointPool
from registry.upstream.offline import OfflineSource
from registry.upstream.redirects import origin_of
from registry.upstream.registry import RegistrySource
from registry.wiring.content import build_content, find_data_folder, open_handles

MEMORY = 32 * 1024 * 1024  # bytes of manifests that one worker remembers


def build_table(settings: Settings) -> UpstreamTable:
    """Make the table of upstreams by all their names."""
    aliases = {name: upstream.aliases for name, upstream in settings.upstreams.items()}
    return UpstreamTable(aliases, settings.default_upstream)


@asynccontextmanager
async def open_services(
    settings: Settings, handles: DataHandles, metrics: Metrics
) -> AsyncIterator[Mirror]:
    """Open everything one worker answers from; leaving closes it in reverse.

    Opens no connection: starting needs no network.

    Raises:
        StoreError: the catalog cannot be opened.
        SettingsError: a file that the settings name cannot be read.
    """
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(Database(handles.folder.catalog))
        yield await _open_mirror(stack, settings, handles, metrics, database=database)


@asynccontextmanager
async def open_warming(settings: Settings) -> AsyncIterator[tuple[Prefetcher, CostEstimator]]:
    """Open what fetches images ahead of pulls, in a data folder that is there already.

    Raises:
        StoreError: the catalog cannot be opened.
        SettingsError: there is no data folder, or a file that is named cannot be read.
    """
    handles = open_handles(find_data_folder(settings))
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(Database(handles.folder.catalog))
        mirror = await _open_mirror(stack, settings, handles, Metrics(), database=database)
        manifests, blobs = mirror.manifests, mirror.blobs
        prefetcher = Prefetcher(manifests, blobs, ReferrerFetcher(manifests, mirror.lists))
        origins = {
            name: [origin_of(url) for url in upstream.endpoints]
            for name, upstream in settings.upstreams.items()
        }
        budgets = RateLimitCatalog(database)
        yield prefetcher, CostEstimator(manifests, blobs, budgets, origins, time.time)


async def _open_mirror(
    stack: AsyncExitStack,
    settings: Settings,
    handles: DataHandles,
    metrics: Metrics,
    *,
    database: Database,
) -> Mirror:
    tasks = await stack.enter_async_context(Tasks())
    note_budget = _budget_keeper(RateLimitCatalog(database), tasks, metrics)
    sources: dict[str, Source] = {}
    system = None if settings.offline else load_trust("", "")
    for name, upstream in settings.upstreams.items():
        if settings.offline:
            sources[name] = OfflineSource(name)
        else:
            client = await stack.enter_async_context(open_client(name, upstream, system))
            sources[name] = build_source(name, upstream, client, note_budget)
    return _compose(settings, handles, metrics, database, sources=sources, tasks=tasks)


def _budget_keeper(
    catalog: RateLimitCatalog, tasks: Tasks, metrics: Metrics
) -> Callable[[RateLimit], None]:
    def note(limit: RateLimit) -> None:
        metrics.pulls_remaining.labels(limit.endpoint, limit.identity).set(limit.remaining)
        tasks.start(catalog.record(limit))

    return note


def build_source(
    name: str,
    settings: UpstreamSettings,
    client: httpx.AsyncClient,
    note_budget: Callable[[RateLimit], None],
) -> RegistrySource:
    """Make the source of one upstream registry."""
    tokens = TokenCache(client, time.monotonic)
    credentials = find_credentials(name, settings)
    endpoints = [
        Endpoint(url, client, Login(url, credentials, tokens), time.monotonic, note_budget)
        for url in settings.endpoints
    ]
    return RegistrySource(
        name, EndpointPool(name, endpoints, time.monotonic, random.SystemRandom())
    )


def _compose(
    settings: Settings,
    handles: DataHandles,
    metrics: Metrics,
    database: Database,
    *,
    sources: dict[str, Source],
    tasks: Tasks,
) -> Mirror:
    clock = time.time
    ingests, store = handles.ingests, handles.store
    manifests, blobs = ManifestCatalog(database), BlobAccessCatalog(database)
    content = build_content(settings, handles, metrics, database)
    room = content.room
    pulls = PullLog(PullCatalog(database), clock)
    tasks.start(pulls.keep_flushing())
    shelf = ManifestCache(ManifestMemory(MEMORY), manifests, content.intake)
    tasks.start(shelf.keep_watching())
    tasks.start(shelf.keep_storing())
    locks = BestEffortLocks(handles.folder.locks)
    inquiries = Revalidator(sources, shelf, locks, tasks, tags=settings.tags, clock=clock)
    absences = NegativeCache(settings.tags.missing_for)

    return Mirror(
        table=build_table(settings),
        manifests=Manifests(
            shelf, inquiries, absences, settings.tags, clock, pulls=pulls, offline=settings.offline
        ),
        blobs=Blobs(
            sources,
            {name: upstream.connections for name, upstream in settings.upstreams.items()},
            catalog=blobs,
            store=store,
            ingests=ingests,
            downloads=Downloads(ingests, store, room, tasks, clock),
            room=room,
            inquiries=BlobChecks(sources, absences, tasks, clock),
            metrics=metrics,
        ),
        lists=TagsAndReferrers(
            sources,
            UpstreamListCatalog(database),
            manifests,
            absences,
            tasks,
            tags=settings.tags,
            clock=clock,
        ),
    )
