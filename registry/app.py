"""The only composition root: what is made of what, and in which order it opens and closes."""

import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit

import httpx

from registry.api.routes import Mirror
from registry.catalog.blobs import BlobCatalog
from registry.catalog.budgets import BudgetCatalog
from registry.catalog.database import Database
from registry.catalog.lists import ListCatalog
from registry.catalog.manifests import ManifestCatalog
from registry.catalog.room import RoomCatalog
from registry.metrics import Metrics
from registry.mirror.absence import AbsenceMemory
from registry.mirror.blob_inquiries import BlobInquiries
from registry.mirror.blobs import Blobs
from registry.mirror.flights import Flights
from registry.mirror.inquiries import Inquiries
from registry.mirror.intake import Intake
from registry.mirror.lists import Lists
from registry.mirror.manifests import Manifests
from registry.mirror.memory import ManifestMemory
from registry.mirror.pulls import Pulls
from registry.mirror.recovery import recover
from registry.mirror.room import Room
from registry.mirror.routing import UpstreamTable
from registry.mirror.shelf import Shelf
from registry.mirror.tasks import Tasks
from registry.settings import Settings, UpstreamSettings
from registry.store.disk import DiskStore
from registry.store.folder import DataFolder
from registry.store.locks import Locks
from registry.store.references import ReferenceFiles
from registry.store.spool import Spool
from registry.upstream.auth import Credentials, Login, TokenCache
from registry.upstream.budget import Budget
from registry.upstream.endpoint import Endpoint
from registry.upstream.offline import OfflineSource
from registry.upstream.registry import RegistrySource
from registry.upstream.roster import Roster
from registry.upstream.source import Source
from registry.upstream.transport import load_trust, open_client

MEMORY = 32 * 1024 * 1024  # bytes of manifests that one worker remembers


def build_table(settings: Settings) -> UpstreamTable:
    """Make the table of upstreams by all their names."""
    aliases = {name: upstream.aliases for name, upstream in settings.upstreams.items()}
    return UpstreamTable(aliases, settings.default_upstream)


@asynccontextmanager
async def open_services(
    settings: Settings, folder: DataFolder, metrics: Metrics
) -> AsyncIterator[Mirror]:
    """Open everything one worker answers from; leaving closes it in reverse.

    Opens no connection: starting needs no network.

    Raises:
        StoreError: the catalog cannot be opened.
        SettingsError: a file that the settings name cannot be read.
    """
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(Database(folder.catalog))
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
        yield _compose(settings, folder, metrics, database, sources=sources, tasks=tasks)


@asynccontextmanager
async def open_room(
    settings: Settings, folder: DataFolder, metrics: Metrics
) -> AsyncIterator[Room]:
    """Open what the steward keeps tidy.

    Raises:
        StoreError: the catalog cannot be opened.
    """
    async with Database(folder.catalog) as database:
        yield _build_room(settings, folder, metrics, database)


async def recover_catalog(settings: Settings, folder: DataFolder, metrics: Metrics) -> None:
    """Make a lost catalog again from the files.

    Raises:
        StoreError: the disk or the catalog refused.
    """
    async with Database(folder.catalog) as database:
        store, manifests = DiskStore(folder.blobs), ManifestCatalog(database)
        references = ReferenceFiles(folder.tags)
        room = _build_room(settings, folder, metrics, database)
        intake = Intake(Spool(folder.spool), store, references, manifests, room)
        await recover(
            references,
            store,
            intake,
            manifests=manifests,
            room=RoomCatalog(database),
            now=time.time(),
        )


def _build_room(
    settings: Settings, folder: DataFolder, metrics: Metrics, database: Database
) -> Room:
    return Room(
        RoomCatalog(database),
        DiskStore(folder.blobs),
        Spool(folder.spool),
        Locks(folder.locks),
        folder=folder.root,
        storage=settings.storage,
        metrics=metrics,
        clock=time.time,
    )


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


def find_credentials(name: str, settings: UpstreamSettings) -> Credentials | None:
    """Return who we are to an upstream, and which hosts may be told; None when anonymous.

    Told are the registry itself under any of its names, and the realms that are configured for it.
    An accelerator that stands before it is not, unless it is the only endpoint: then the operator
    wrote the credentials for it.
    """
    if not settings.username:
        return None
    hosts = {urlsplit(f"//{host}").hostname or "" for host in (name, *settings.aliases)}
    hosts |= {urlsplit(f"//{host}").hostname or "" for host in settings.auth_realms}
    if len(settings.endpoints) == 1:
        hosts.add(urlsplit(settings.endpoints[0]).hostname or "")
    password = settings.password.get_secret_value()
    return Credentials(settings.username, password, frozenset(hosts - {""}))


def _compose(
    settings: Settings,
    folder: DataFolder,
    metrics: Metrics,
    database: Database,
    *,
    sources: dict[str, Source],
    tasks: Tasks,
) -> Mirror:
    clock = time.time
    spool, store = Spool(folder.spool), DiskStore(folder.blobs)
    manifests, blobs = ManifestCatalog(database), BlobCatalog(database)
    room = _build_room(settings, folder, metrics, database)
    pulls = Pulls(RoomCatalog(database), clock)
    tasks.start(pulls.keep_flushing())
    intake = Intake(spool, store, ReferenceFiles(folder.tags), manifests, room)
    shelf = Shelf(ManifestMemory(MEMORY), manifests, intake)
    inquiries = Inquiries(
        sources, shelf, Locks(folder.locks), tasks, tags=settings.tags, clock=clock
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
