"""The services that record and measure what a mirror does, for reports and metrics."""

import time
from functools import cached_property

from registry.catalog.audits import AuditCatalog
from registry.catalog.database import Database
from registry.catalog.days import DayCatalog
from registry.catalog.pulls import PullCatalog
from registry.catalog.rate_limits import RateLimitCatalog
from registry.catalog.usage import UsageCatalog
from registry.content.monitoring import Monitoring
from registry.content.store_gauges import StoreGauges
from registry.content.traffic import Traffic
from registry.metrics.store_metrics import StoreMetrics
from registry.store.data_folder import DataFolder
from registry.store.file_locks import ExclusiveLocks
from registry.wiring.data_folder_checks import METRICS


class MonitoringServices:
    """The services over one data folder that say what happened there, and what is the case now."""

    def __init__(self, folder: DataFolder, database: Database) -> None:
        self.metrics = folder.root / METRICS  # it has a folder for each running server
        self._database = database
        self._locks = ExclusiveLocks(folder.locks)

    @cached_property
    def traffic(self) -> Traffic:
        """What was answered and downloaded on each day."""
        return Traffic(DayCatalog(self._database), self.metrics, self._locks, time.time)

    @cached_property
    def pulls(self) -> PullCatalog:
        """Who has pulled, and when."""
        return PullCatalog(self._database)

    @cached_property
    def limits(self) -> RateLimitCatalog:
        """The pull limits that endpoints have stated."""
        return RateLimitCatalog(self._database)

    def build_recording(self, metrics: StoreMetrics) -> Monitoring:
        """Return what the background process does once a minute."""
        usage, audits = UsageCatalog(self._database), AuditCatalog(self._database)
        gauges = StoreGauges(usage, self.pulls, audits, metrics, time.time)
        return Monitoring(self.traffic, gauges)
