"""Builds what the console shows and does, over an open data folder."""

import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from registry.catalog.client_visits import ClientVisitCatalog
from registry.catalog.database import Database
from registry.catalog.image_groups import ImageGroupCatalog
from registry.catalog.image_pages import ImagePageCatalog
from registry.catalog.pull_clients import PullClientCatalog
from registry.catalog.rate_limits import RateLimitCatalog
from registry.catalog.usage import UsageCatalog
from registry.content.server_state import read_server_state
from registry.content.tag_control import TagControl
from registry.errors import ImageUnknown
from registry.metrics.process_metrics import Metrics
from registry.mirror.operator_actions import OperatorActions
from registry.mirror.prefetch import Prefetcher
from registry.oci.names import Repository, Tag
from registry.oci.rate_limits import RateLimit
from registry.reports.console.downloads import DownloadWatch
from registry.reports.console.facts import ConsoleFacts, Sources
from registry.reports.console.image_reader import ImageReader
from registry.reports.console.selection import SelectionReader
from registry.reports.console.upstreams import UpstreamFacts, UpstreamReport, report_upstreams
from registry.reports.tag_history import TagReport, read_tag_report
from registry.reports.upstreams import Outcomes, list_known, order_endpoints
from registry.settings.model import Settings
from registry.settings.rates import find_minute
from registry.store.data_folder import DataFolder
from registry.tasks import Tasks
from registry.wiring.access import build_operator_accounts
from registry.wiring.content import ContentServices, open_handles
from registry.wiring.data_folder import open_database
from registry.wiring.known_endpoints import read_known
from registry.wiring.pulls import open_warming
from registry.wiring.running_downloads import find_downloads
from registry.wiring.tag_control import build_tag_control
from registry.wiring.upstream_rules import build_tag_delays

if TYPE_CHECKING:
    from registry.access.operator_accounts import OperatorAccounts


@dataclass(frozen=True, slots=True)
class ConsoleServices:
    """What the pages of the console need."""

    facts: ConsoleFacts
    reader: ImageReader
    actions: OperatorActions
    selection: SelectionReader
    accounts: "OperatorAccounts | None"


@dataclass(frozen=True, slots=True)
class ServerState:
    """What the console asks the running server, beside the data folder.

    `version` is its version. `find_trouble` returns why some
    pulls cannot be answered, or ""; `find_outage` when an upstream last gave no answer, or 0.
    """

    version: str
    find_trouble: Callable[[], Awaitable[str]]
    find_outage: Callable[[str], float]
    read_events: Callable[[], Sequence[Mapping[str, Any]]]


@asynccontextmanager
async def open_console(
    settings: Settings, folder: DataFolder, metrics: Metrics, state: ServerState
) -> AsyncIterator[ConsoleServices]:
    """Open what the pages need; at the end, downloads for operators are cancelled.

    Raises:
        StoreError: the catalog cannot be opened.
    """
    async with open_database(folder, uses_spare=True) as database, Tasks() as tasks:
        content = ContentServices(settings, open_handles(folder), metrics, database)
        pages, clients = ImagePageCatalog(database), PullClientCatalog(database)
        control = build_tag_control(content)
        sources = _build_sources(settings, folder, database, content, state)
        facts = ConsoleFacts(sources)
        reader = ImageReader(
            pages,
            content.manifests.catalog,
            clients,
            content.content,
            content.deletion,
            partial(_read_history, settings, content, control),
            settings.upstreams.__contains__,
            content.images.list_pins,
        )
        actions = OperatorActions(
            content.images,
            content.deletion,
            control,
            partial(_open_prefetcher, settings),
            tasks,
            is_offline=settings.offline,
        )
        selection = SelectionReader(pages, sources.groups, content.deletion)
        accounts = build_operator_accounts(settings, content.locks)
        yield ConsoleServices(facts, reader, actions, selection, accounts)


def _build_sources(
    settings: Settings,
    folder: DataFolder,
    database: Database,
    content: ContentServices,
    state: ServerState,
) -> Sources:
    usage = UsageCatalog(database)
    minute = find_minute(time.time())
    return Sources(
        version=state.version,
        images=ImagePageCatalog(database),
        groups=ImageGroupCatalog(database),
        clients=PullClientCatalog(database),
        visits=ClientVisitCatalog(database),
        find_trouble=state.find_trouble,
        read_space=partial(_read_space, settings, folder, usage),
        break_down=usage.break_down,
        read_small=partial(_read_small, usage),
        read_days=content.monitoring.traffic.read,
        list_days=content.monitoring.traffic.list_days,
        read_limits=RateLimitCatalog(database).list_all,
        read_upstreams=partial(_read_upstreams, settings, content, find_outage=state.find_outage),
        read_outcomes=lambda: read_server_state(content.monitoring.metrics).list_outcomes(),
        read_events=state.read_events,
        downloads=DownloadWatch(partial(find_downloads, folder.root)),
        registries=tuple(settings.upstreams),
        rates={
            name: upstream.max_rate.describe(minute)
            for name, upstream in settings.upstreams.items()
            if upstream.max_rate.is_limited
        },
        is_offline=settings.offline,
        addresses=settings.access.addresses,
    )


def _read_space(
    settings: Settings, folder: DataFolder, usage: UsageCatalog
) -> tuple[int, int, int, int]:
    storage = settings.storage
    free = shutil.disk_usage(folder.root).free
    return usage.used(), storage.limit, storage.reserve, free


def _read_small(usage: UsageCatalog) -> tuple[int, int]:
    """Return the bytes that are reserved for downloads, and those in quarantine."""
    damaged = sum(size for _, size in usage.list_quarantined())
    return sum(usage.list_reservations().values()), damaged


def _read_upstreams(
    settings: Settings,
    content: ContentServices,
    now: float,
    limits: Sequence[RateLimit],
    outcomes: Outcomes,
    *,
    find_outage: Callable[[str], float],
) -> list[UpstreamReport]:
    known = read_known(content, settings.upstreams)
    endpoints = {
        name: order_endpoints(
            name, upstream.endpoints, known, now, is_measured=upstream.order == "measured"
        )
        for name, upstream in settings.upstreams.items()
    }
    minute = find_minute(now)
    rates = {name: each.max_rate.find_rate(minute) for name, each in settings.upstreams.items()}
    facts = [
        UpstreamFacts(
            name,
            [_find_origin(each) for each in upstream.endpoints],
            find_outage(name),
            has_password=bool(upstream.username),
            is_default=upstream.default,
        )
        for name, upstream in settings.upstreams.items()
    ]
    found = list_known(endpoints, known, rates, outcomes)
    return report_upstreams(facts, found, limits, now, is_offline=settings.offline)


def _find_origin(endpoint: str) -> str:
    parts = urlsplit(endpoint)
    return f"{parts.scheme}://{parts.netloc}"


async def _read_history(
    settings: Settings,
    content: ContentServices,
    control: TagControl,
    repository: Repository,
    tag: Tag,
) -> TagReport | None:
    catalog, delays = content.manifests.catalog, build_tag_delays(settings)
    try:
        return await read_tag_report(control, catalog, delays, (repository, tag), time.time())
    except ImageUnknown:
        return None


@asynccontextmanager
async def _open_prefetcher(settings: Settings) -> AsyncIterator[Prefetcher]:
    async with open_warming(settings) as (prefetcher, _):
        yield prefetcher
