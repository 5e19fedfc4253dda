"""The only composition root: what is made of what, and in which order it opens and closes."""

import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import httpx

from registry.api.routes import Mirror
from registry.catalog.blob_access import BlobCatalog
from registry.catalog.database import Database
from registry.catalog.manifests import ManifestCatalog
from registry.catalog.pulls import PullCatalog
from registry.catalog.rate_limits import BudgetCatalog
from registry.catalog.upstream_lists import ListCatalog
from registry.content.backup import Shelves
from registry.content.pull_log import Pulls
from registry.metrics import Metrics
from registry.mirror.blob_checks import BlobInquiries
from registry.mirror.blobs import Blobs
from registry.mirror.downloads import Flights
from registry.mirror.manifest_cache import Shelf
from registry.mirror.manifest_memory import ManifestMemory
from registry.mirror.manifests import Manifests
from registry.mirror.negative_cache import AbsenceMemory
from registry.mirror.prefetch import Warming
from registry.mirror.prefetch_cost import Foresight
from registry.mirror.referrers import Attachments
from registry.mirror.revalidation import Inquiries
from registry.mirror.routing import UpstreamTable
from registry.mirror.tags_and_referrers import Lists
from registry.settings.model import Settings, UpstreamSettings
from registry.store.file_locks import Locks
from registry.tasks import Tasks
from registry.upstream.auth import Login, TokenCache
from registry.upstream.client import load_trust, open_client
from registry.upstream.contract import Source
from registry.upstream.credentials import find_credentials
from registry.upstream.endpoint import Endpoint
from registry.upstream.failover import Roster
from registry.upstream.offline import OfflineSource
from registry.upstream.rate_limit import Budget
from registry.upstream.redirects import origin_of
from registry.upstream.registry import RegistrySource
from registry.wiring.content import build_storehouse, find_storage, open_shelves

MEMORY = 32 * 1024 * 1024  # bytes of manifests that one worker remembers


def build_table(settings: Settings) -> UpstreamTable:
    """Make the table of upstreams by all their names."""
    aliases = {name: upstream.aliases for name, upstream in settings.upstreams.items()}
    return UpstreamTable(aliases, settings.default_upstream)


@asynccontextmanager
async def open_services(
    settings: Settings, shelves: Shelves, metrics: Metrics
) -> AsyncIterator[Mirror]:
    """Open everything one worker answers from; leaving closes it in reverse.

    Opens no connection: starting needs no network.

    Raises:
        StoreError: the catalog cannot be opened.
        SettingsError: a file that the settings name cannot be read.
    """
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(Database(shelves.folder.catalog))
        yield await _open_mirror(stack, settings, shelves, metrics, database=database)


@asynccontextmanager
async def open_warming(settings: Settings) -> AsyncIterator[tuple[Warming, Foresight]]:
    """Open what fetches images ahead of pulls, in a data folder that is there already.

    Raises:
        StoreError: the catalog cannot be opened.
        SettingsError: there is no data folder, or a file that is named cannot be read.
    """
    shelves = open_shelves(find_storage(settings))
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(Database(shelves.folder.catalog))
        mirror = await _open_mirror(stack, settings, shelves, Metrics(), database=database)
        manifests, blobs = mirror.manifests, mirror.blobs
        warming = Warming(manifests, blobs, Attachments(manifests, mirror.lists))
        origins = {
            name: [origin_of(url) for url in upstream.endpoints]
            for name, upstream in settings.upstreams.items()
        }
        budgets = BudgetCatalog(database)
        yield warming, Foresight(manifests, blobs, budgets, origins, time.time)


async def _open_mirror(
    stack: AsyncExitStack,
    settings: Settings,
    shelves: Shelves,
    metrics: Metrics,
    *,
    database: Database,
) -> Mirror:
    tasks = await stack.enter_async_context(Tasks())
    note_budget = _budget_keeper(BudgetCatalog(database), tasks, metrics)
    sources: dict[str, Source] = {}
    system = None if settings.offline else load_trust("", "")
    for name, upstream in settings.upstreams.items():
        if settings.offline:
            sources[name] = OfflineSource(name)
        else:
            client = await stack.enter_async_context(open_client(name, upstream, system))
            sources[name] = build_source(name, upstream, client, note_budget)
    return _compose(settings, shelves, metrics, database, sources=sources, tasks=tasks)


def _budget_keeper(
    catalog: BudgetCatalog, tasks: Tasks, metrics: Metrics
) -> Callable[[Budget], None]:
    def note(budget: Budget) -> None:
        metrics.pulls_remaining.labels(budget.endpoint, budget.identity).set(budget.remaining)
        tasks.start(
            catalog.record(
                (budget.endpoint, budget.identity),
                allowed=budget.allowed,
                remaining=budget.remaining,
                period=budget.period,
                source=budget.source,
                now=time.time(),
            )
        )

    return note


def build_source(
    name: str,
    settings: UpstreamSettings,
    client: httpx.AsyncClient,
    note_budget: Callable[[Budget], None],
) -> RegistrySource:
    """Make the source of one upstream registry."""
    tokens = TokenCache(client, time.monotonic)
    credentials = find_credentials(name, settings)
    endpoints = [
        Endpoint(url, client, Login(url, credentials, tokens), time.monotonic, note_budget)
        for url in settings.endpoints
    ]
    return RegistrySource(name, Roster(name, endpoints, time.monotonic, random.SystemRandom()))


def _compose(
    settings: Settings,
    shelves: Shelves,
    metrics: Metrics,
    database: Database,
    *,
    sources: dict[str, Source],
    tasks: Tasks,
) -> Mirror:
    clock = time.time
    spool, store = shelves.spool, shelves.store
    manifests, blobs = ManifestCatalog(database), BlobCatalog(database)
    storehouse = build_storehouse(settings, shelves, metrics, database)
    room = storehouse.room
    pulls = Pulls(PullCatalog(database), clock)
    tasks.start(pulls.keep_flushing())
    shelf = Shelf(ManifestMemory(MEMORY), manifests, storehouse.intake)
    inquiries = Inquiries(
        sources, shelf, Locks(shelves.folder.locks), tasks, tags=settings.tags, clock=clock
    )
    absences = AbsenceMemory(settings.tags.missing_for)

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
            spool=spool,
            flights=Flights(spool, store, room, tasks, clock),
            room=room,
            inquiries=BlobInquiries(sources, absences, tasks, clock),
            metrics=metrics,
        ),
        lists=Lists(
            sources,
            ListCatalog(database),
            manifests,
            absences,
            tasks,
            tags=settings.tags,
            clock=clock,
        ),
    )
