"""Recording the pull limits that upstreams report: for `images warm`, and for the metrics."""

from registry.catalog.rate_limits import RateLimitCatalog
from registry.metrics.process_metrics import Metrics
from registry.oci.rate_limits import RateLimit
from registry.tasks import Tasks


class LimitRecorder:
    """Records each pull limit in the catalog and in the metrics."""

    def __init__(self, catalog: RateLimitCatalog, tasks: Tasks, metrics: Metrics) -> None:
        self._catalog = catalog
        self._tasks = tasks
        self._metrics = metrics

    def note(self, limit: RateLimit) -> None:
        """Record a pull limit; the catalog is written later, in a task."""
        self._metrics.pull_limits.note(
            limit.endpoint,
            limit.identity,
            limit.remaining,
            allowed=limit.allowed,
            until=limit.seen + limit.period,
        )
        self._tasks.start(self._catalog.record(limit))
