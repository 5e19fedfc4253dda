"""Building, opening and closing the objects that answer pulls."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from functools import partial

from registry.catalog.database import Database
from registry.catalog.endpoints import EndpointCatalog
from registry.catalog.rate_limits import RateLimitCatalog
from registry.content.backup import DataHandles
from registry.metrics.process_metrics import Metrics
from registry.mirror.cache_status import CacheStatus
from registry.mirror.limit_recorder import LimitRecorder
from registry.mirror.mirror import Mirror
from registry.mirror.outages import Outages
from registry.mirror.performance_recorder import PerformanceRecorder
from registry.mirror.prefetch import Prefetcher
from registry.mirror.prefetch_cost import CostEstimator
from registry.mirror.referrers import ReferrerFetcher
from registry.settings.model import Settings
from registry.tasks import Tasks
from registry.upstream.client import open_client
from registry.upstream.contract import Source
from registry.upstream.endpoint import SpendPull
from registry.upstream.offline import OfflineSource
from registry.upstream.pull_reserve import PullReserve
from registry.upstream.via import ViaWriter, make_name
from registry.wiring.content import find_data_folder, open_handles
from registry.wiring.data_folder import open_database
from registry.wiring.pull_services import PullServices
from registry.wiring.sources import build_endpoints, build_source, list_endpoints


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
            via=via or ViaWriter(make_name()),
        )


@asynccontextmanager
async def open_warming(
    settings: Settings, keep_pulls: int = 0
) -> AsyncIterator[tuple[Prefetcher, CostEstimator]]:
    """Open the objects for `images warm` and `images refresh`, over an existing data folder.

    They leave `keep_pulls` requests of each pull limit for clients.

    Raises:
        StoreError: the catalog cannot be opened.
        SettingsError: there is no data folder, or a file in the settings cannot be read.
    """
    handles = open_handles(find_data_folder(settings))
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(handles.folder))
        mirror = await _open_mirror(
            stack,
            settings,
            handles,
            Metrics(),
            database=database,
            via=ViaWriter(make_name()),
            is_warming=True,
            keep_pulls=keep_pulls,
        )
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
    via: ViaWriter,
    stored: CacheStatus = CacheStatus.HIT,
    outages: Outages | None = None,
    is_warming: bool = False,
    keep_pulls: int = 0,
) -> Mirror:
    own_ports = frozenset({settings.server.listen.port, settings.server.console.port})
    clients = {
        name: await stack.enter_async_context(
            open_client(name, upstream, via, own_ports, is_warming=is_warming)
        )
        for name, upstream in settings.upstreams.items()
        if not settings.offline
    }
    # The tasks end before their connections are closed, since threads may read from these.
    tasks = await stack.enter_async_context(Tasks())
    limits = LimitRecorder(RateLimitCatalog(database), tasks, metrics)
    reserve = partial(_reserve_pulls, RateLimitCatalog(database), keep_pulls)
    performance = PerformanceRecorder(EndpointCatalog(database), metrics)
    sources: dict[str, Source] = {}
    for name, upstream in settings.upstreams.items():
        metrics.begin_upstream(name)
        if settings.offline:
            sources[name] = OfflineSource(name)
        else:
            endpoints = build_endpoints(name, upstream, clients[name], limits.note, reserve)
            performance.watch(name, endpoints)
            sources[name] = build_source(name, upstream, endpoints)
    tasks.keep(performance.keep_exchanging())
    stack.push_async_callback(performance.exchange)  # before the catalog is closed
    services = PullServices(
        settings,
        handles,
        metrics,
        database,
        sources=sources,
        tasks=tasks,
        stored=stored,
        outages=outages,
        via=via,
        is_warming=is_warming,
    )
    return services.build_mirror()


def _reserve_pulls(
    limits: RateLimitCatalog, keep_pulls: int, origin: str, identity: str
) -> SpendPull:
    """Return what allows the counted requests to one endpoint, as one user."""
    if not keep_pulls:
        return nullcontext
    return PullReserve(origin, keep_pulls, partial(limits.find, origin, identity), time.time).spend
