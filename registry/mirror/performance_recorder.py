"""Keeping what was measured of endpoints in the catalog, for other processes and the next start."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import astuple
from functools import partial

from registry.catalog.endpoints import EndpointCatalog, EndpointRow
from registry.errors import StoreError
from registry.metrics.process_metrics import Metrics, find_observe
from registry.metrics.upstream_metrics import UpstreamMetrics
from registry.upstream.endpoint import Endpoint
from registry.upstream.measurements import Change
from registry.upstream.performance import Performance

PERIOD = 2.0  # seconds between two exchanges with the catalog
SILENT = 3  # requests in a row without an answer after which an endpoint counts as down
IDLE_PERIODS = 4  # of these pass between two exchanges if nothing was measured here


class PerformanceRecorder:
    """Exchanges the measurements of this process for those of all; `now` returns epoch seconds."""

    def __init__(
        self, catalog: EndpointCatalog, metrics: Metrics, now: Callable[[], float] = time.time
    ) -> None:
        self._catalog = catalog
        self._metrics = metrics
        self._now = now
        self._watched: dict[tuple[str, str], _Watched] = {}  # by upstream and URL

    def watch(self, upstream: str, endpoints: Iterable[Endpoint]) -> None:
        """Exchange the measurements of these endpoints too; what is known of them is read."""
        for each in endpoints:
            self._watched[upstream, each.url] = _Watched(upstream, each)
        self._read()

    async def keep_exchanging(self) -> None:
        """Exchange until cancelled, if there are endpoints; rarely while there is nothing to do.

        The first requests after a pause are sent by what was known up to eight seconds before.
        """
        idle = 0
        while self._watched:
            await asyncio.sleep(PERIOD)
            has_new = any(each.endpoint.measured.has_new for each in self._watched.values())
            idle = 0 if has_new else (idle + 1) % IDLE_PERIODS
            if not idle:
                await self.exchange()

    async def exchange(self) -> None:
        """Add the new measurements to the catalog in one write, and read what all have measured.

        If the catalog refuses, the measurements are kept for the next time.
        """
        for watched in self._watched.values():
            watched.count(self._metrics)
        taken = {key: each.endpoint.measured.take_new() for key, each in self._watched.items()}
        changes = {key: partial(_apply, new) for key, new in taken.items() if new}
        if changes:
            try:
                await self._catalog.change(changes, self._now())
            except (StoreError, asyncio.CancelledError) as error:
                for key, new in taken.items():
                    self._watched[key].endpoint.measured.put_back(new)
                if isinstance(error, StoreError):
                    return
                raise
        self._read()

    def _read(self) -> None:
        with suppress(StoreError):
            for upstream in {upstream for upstream, _ in self._watched}:
                for url, row in self._catalog.read(upstream).items():
                    if watched := self._watched.get((upstream, url)):
                        watched.endpoint.measured.adopt(Performance(*row))


def _apply(changes: list[Change], row: EndpointRow | None) -> EndpointRow:
    """Return a row with new measurements."""
    known = Performance() if row is None else Performance(*row)
    for change in changes:
        known = change(known)
    return astuple(known)


class _Watched:
    """An endpoint of an upstream, and what was counted of it in the metrics."""

    def __init__(self, upstream: str, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._upstream = upstream
        self._received = 0
        self._failures = 0
        self._counted = 0
        self._outcomes: Counter[tuple[str, str]] = Counter()

    def count(self, metrics: Metrics) -> None:
        """Add to the metrics what came since the last time."""
        measured, origin = self.endpoint.measured, self.endpoint.origin
        metrics.endpoint_bytes.labels(origin).inc(measured.received - self._received)
        metrics.endpoint_failures.labels(origin).inc(measured.failures - self._failures)
        self._received, self._failures = measured.received, measured.failures
        self._count_requests(metrics.upstreams)

    def _count_requests(self, metrics: UpstreamMetrics) -> None:
        measured, labels = self.endpoint.measured, (self._upstream, self.endpoint.origin)
        new = measured.outcomes - self._outcomes
        if not new:
            return
        self._outcomes += new
        for (method, outcome), count in new.items():
            metrics.requests.labels(*labels, method, outcome).inc(count)
        metrics.counted_pulls.labels(*labels).inc(measured.counted - self._counted)
        self._counted = measured.counted
        find_observe(metrics.seconds.labels(*labels))(measured.waits)
        measured.waits.clear()
        metrics.up.labels(*labels).set(measured.silent < SILENT)
        if measured.succeeded_at:
            metrics.last_success.labels(*labels).set(measured.succeeded_at)
