"""Measuring the data folder for metrics, by the background process."""

from collections.abc import Callable

from registry.catalog.audits import AuditCatalog
from registry.catalog.pulls import PullCatalog
from registry.catalog.usage import UsageCatalog
from registry.content.audit import BACKGROUND, COMMAND
from registry.metrics.store_metrics import StoreMetrics

CLIENT_PERIOD = 3600.0  # seconds in which clients are counted


class StoreGauges:
    """Sets gauges to what the catalog says; `clock` returns epoch seconds."""

    def __init__(
        self,
        usage: UsageCatalog,
        pulls: PullCatalog,
        audits: AuditCatalog,
        metrics: StoreMetrics,
        clock: Callable[[], float],
    ) -> None:
        self._usage = usage
        self._pulls = pulls
        self._audits = audits
        self._metrics = metrics
        self._clock = clock

    async def measure(self) -> None:
        """Set all gauges.

        Raises:
            StoreError: the catalog refused.
        """
        metrics, use = self._metrics, await self._usage.break_down()
        metrics.blobs.set(use.count)
        metrics.pinned_bytes.set(use.pinned)
        metrics.quarantined_bytes.set(use.quarantined)
        clients, tags = await self._pulls.count(self._clock() - CLIENT_PERIOD)
        metrics.clients.set(clients)
        metrics.images.set(tags)
        for auditor, name in ((BACKGROUND, "background"), (COMMAND, "command")):
            metrics.audit_end.labels(name).set(self._audits.find(auditor).ended)
