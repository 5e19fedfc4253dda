"""Reads the facts of each page of the console, from the same places as commands and metrics."""

import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from registry.catalog.client_visits import ClientVisitCatalog
from registry.catalog.image_groups import ImageGroupCatalog
from registry.catalog.image_pages import ImageFilter, ImagePageCatalog
from registry.catalog.pull_clients import PullClientCatalog
from registry.catalog.usage import UsageTotals
from registry.content.traffic import DayRow
from registry.oci.rate_limits import RateLimit
from registry.reports.console.clients import ClientList, ClientReport, VisitReport
from registry.reports.console.downloads import DownloadReport, DownloadWatch
from registry.reports.console.events import (
    EventList,
    EventReport,
    keep_about,
    leave_out_downloads,
    list_events,
)
from registry.reports.console.health import Health, Signs, find_worst
from registry.reports.console.images import (
    PAGE,
    SORTS,
    GroupList,
    GroupReport,
    ImageList,
    ImageQuery,
    ImageRow,
    sort_names,
)
from registry.reports.console.overview import DiskSpace, Overview, find_full_in
from registry.reports.console.totals import StoreTotals, Totals
from registry.reports.console.upstreams import UpstreamList, UpstreamReport
from registry.reports.space import find_growth
from registry.reports.status import count_refused
from registry.reports.traffic import MONTH, WEEK, report_traffic
from registry.reports.upstreams import NO_OUTCOMES, Outcomes

HOUR = 3600.0
FRESH = 10.0  # seconds for which what was counted today is not read again: that takes up to 25 ms
SHOWN_EVENTS = 12


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the facts come from; each function reads what is true at that moment.

    `find_trouble` returns why some pulls cannot be answered, or "". `read_space` returns the bytes
    that are used, of the limit, of the reserve, and free on the disk; `break_down` adds up what
    the used bytes are used for, which may take a second. `read_days` returns what was answered in
    so many days, and `list_days` their names. `read_upstreams` gets the moment, the pull limits and
    what `read_outcomes` returns, if that is wanted: it reads all metrics.
    """

    version: str
    images: ImagePageCatalog
    groups: ImageGroupCatalog
    clients: PullClientCatalog
    visits: ClientVisitCatalog
    find_trouble: Callable[[], Awaitable[str]]
    read_space: Callable[[], tuple[int, int, int, int]]
    break_down: Callable[[], Awaitable[UsageTotals]]
    read_small: Callable[[], tuple[int, int]]
    read_days: Callable[[int], Awaitable[Sequence[DayRow]]]
    list_days: Callable[[int], Sequence[str]]
    read_limits: Callable[[], Awaitable[Sequence[RateLimit]]]
    read_upstreams: Callable[[float, Sequence[RateLimit], Outcomes], Sequence[UpstreamReport]]
    read_outcomes: Callable[[], Outcomes]
    read_events: Callable[[], Sequence[Mapping[str, Any]]]
    downloads: DownloadWatch
    registries: Sequence[str] = ()
    rates: Mapping[str, str] = field(default_factory=dict)
    is_offline: bool = False
    addresses: str = "whole"


class ConsoleFacts:
    """Makes the reports of the pages; details of one image: `image_reader.py`."""

    def __init__(self, sources: Sources) -> None:
        self._refused, self._counted_at = 0, 0.0
        self._sources = sources
        self._totals = StoreTotals(
            sources.break_down, sources.groups.list_sizes, sources.images.list_ordered
        )

    async def read_overview(self) -> Overview:
        """Return the facts of the first page.

        Raises:
            StoreError: the catalog refused.
        """
        sources, now = self._sources, time.time()
        limits = await sources.read_limits()
        upstreams = sources.read_upstreams(now, limits, NO_OUTCOMES)
        totals = await self._totals.take()
        space = self._read_space(totals)
        rows, days = await sources.read_days(MONTH), sources.list_days(MONTH)
        return Overview(
            version=sources.version,
            health=await self._judge(now, upstreams, limits, space),
            space=space,
            full_in=find_full_in(space, find_growth(rows, days[-WEEK:])),
            traffic=report_traffic(rows, days),
            images=await sources.images.count_images(),
            gone=await sources.images.count_gone(),
            blobs=None if totals is None else totals.use.count,
            clients=await sources.clients.count_since(now - HOUR),
            largest=() if totals is None else totals.largest,
            upstreams=upstreams,
            downloads=self.take_downloads(),
            events=leave_out_downloads(self._list_events())[:SHOWN_EVENTS],
        )

    async def _count_refused(self, now: float) -> int:
        """Return how often a blob was not stored today, as it was known some seconds ago."""
        if not 0 <= now - self._counted_at < FRESH:
            (today,) = self._sources.list_days(1)
            self._refused = count_refused(await self._sources.read_days(1), today)
            self._counted_at = now
        return self._refused

    async def judge(self) -> Health:
        """Return the worst finding of this moment.

        Raises:
            StoreError: the catalog refused.
        """
        now = time.time()
        limits = await self._sources.read_limits()
        upstreams = self._sources.read_upstreams(now, limits, NO_OUTCOMES)
        return await self._judge(now, upstreams, limits, self._read_space(self._totals.latest))

    async def _judge(
        self,
        now: float,
        upstreams: Sequence[UpstreamReport],
        limits: Sequence[RateLimit],
        space: DiskSpace,
    ) -> Health:
        silent = {each.upstream: each.failed_at for each in upstreams if each.failed_at}
        return find_worst(
            Signs(
                now,
                await self._sources.find_trouble(),
                self._sources.is_offline,
                silent,
                space.damaged,
                space.limit,
                space.pinned,
                limits,
                refused=await self._count_refused(now),
                has_reserve=space.free >= space.reserve,
            )
        )

    def _read_space(self, totals: Totals | None) -> DiskSpace:
        used, limit, reserve, free = self._sources.read_space()
        downloading, damaged = self._sources.read_small()
        pinned = None if totals is None else totals.use.pinned
        return DiskSpace(used, limit, reserve, free, pinned, downloading, damaged)

    def read_space(self) -> DiskSpace:
        """Return how full the store is; `pinned` is what was added up last.

        Raises:
            StoreError: the catalog refused.
        """
        return self._read_space(self._totals.latest)

    def take_downloads(self) -> list[DownloadReport]:
        """Return the running downloads."""
        return self._sources.downloads.take(time.monotonic())

    def _list_events(self, level: str = "") -> list[EventReport]:
        return list_events(self._sources.read_events(), level)

    def list_events(self, level: str = "", about: str = "") -> EventList:
        """Return the last events; with `level` "warning", only those that are warnings or worse.

        With `about`, only those about this repository.
        """
        found = self._list_events(level)
        return EventList(keep_about(found, about) if about else found, about)

    async def list_images(self, query: ImageQuery) -> ImageList:
        """Return a page of images.

        Raises:
            InvalidInput: the query says where to go on in a wrong form.
            StoreError: the catalog refused.
        """
        sort = query.sort if query.sort in SORTS else "name"
        wanted = _choose(query)
        _, repository, reference = query.read_after()
        if sort == "name":
            found = await self._sources.images.read_page(wanted, (repository, reference), PAGE + 1)
            keyed = [("", row, part) for row, part in found]
        else:
            keyed = await self._read_sorted(wanted, query)
        rows = [ImageRow.of(row, part) for _, row, part in keyed[:PAGE]]
        after = f"{keyed[PAGE - 1][0]}~{rows[-1].name}" if len(keyed) > PAGE else ""
        return ImageList(
            rows,
            after,
            query.text,
            query.registry,
            sort,
            query.is_pinned,
            self._sources.registries,
            query.repository,
            query.is_gone,
        )

    async def list_groups(self, query: ImageQuery) -> GroupList:
        """Return a page of repositories; `query.after` is the name where the former page ended.

        Raises:
            StoreError: the catalog refused.
        """
        rows = await self._sources.groups.read_page(_choose(query), query.after, PAGE + 1)
        found = [
            GroupReport(each.repository, each.tags, each.pinned, each.pulled)
            for each in rows[:PAGE]
        ]
        after = found[-1].repository if len(rows) > PAGE else ""
        return GroupList(
            found,
            after,
            query.text,
            query.registry,
            "group",
            query.is_pinned,
            self._sources.registries,
        )

    async def _read_sorted(self, wanted: ImageFilter, query: ImageQuery) -> list[Any]:
        sizes: Mapping[str, int] = {}
        if query.sort == "size":
            sizes = (await self._totals.wait()).sizes
        names = await self._sources.images.list_ordered(wanted)
        found = sort_names(names, query, sizes)
        parts = await self._sources.images.measure({row.digest for _, row in found})
        return [(repr(key), row, parts[row.digest]) for key, row in found]

    async def list_upstreams(self) -> UpstreamList:
        """Return all upstreams.

        Raises:
            StoreError: the catalog refused.
        """
        limits = await self._sources.read_limits()
        outcomes = self._sources.read_outcomes()
        upstreams = self._sources.read_upstreams(time.time(), limits, outcomes)
        return UpstreamList(upstreams, self._sources.rates)

    async def list_clients(self, text: str, after: str, asked_by: str) -> ClientList:
        """Return a page of clients, for who asks from the address `asked_by`.

        `after` is where a former page ended: a time, `~`, an address.

        Raises:
            InvalidInput: `after` has another form.
            StoreError: the catalog refused.
        """
        moment, client = math.inf, ""
        if after:
            key, _, _ = ImageQuery(after=after).read_after()
            moment, client = key, after.partition("~")[2]
        rows = await self._sources.clients.read_page(text, (moment, client), PAGE + 1)
        shown = rows[:PAGE]
        end = f"{shown[-1].pulled!r}~{shown[-1].client}" if len(rows) > PAGE else ""
        visits = await self._sources.visits.list_of([row.client for row in shown])
        reports = [ClientReport.of(row, visits[row.client]) for row in shown]
        in_vain = [] if after else await self._sources.visits.list_in_vain(text, PAGE)
        shown_form = self._sources.addresses
        you = asked_by if shown_form == "whole" else ""
        pulled = await self._sources.clients.find_last(you) if you else 0.0
        failed = [VisitReport.of(each) for each in in_vain]
        return ClientList(reports, end, text, shown_form, you, pulled, failed)


def _choose(query: ImageQuery) -> ImageFilter:
    return ImageFilter(query.text, query.registry, query.is_pinned, query.repository, query.is_gone)
