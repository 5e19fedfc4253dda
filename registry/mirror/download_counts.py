"""What is counted of one download: bytes that came, that were there, or were wrong, and its end."""

from registry.errors import EntrepotError
from registry.metrics.process_metrics import Metrics


class DownloadCounts:
    """The counts of a download from the upstream `registry`."""

    def __init__(self, metrics: Metrics, registry: str) -> None:
        self.add_received = metrics.downloaded_bytes.labels(registry).inc
        self.add_resumed = metrics.resumed_bytes.labels(registry).inc
        self.add_wrong = metrics.wrong_bytes.labels(registry).inc
        self._ends = metrics.finished_downloads
        self._registry = registry

    def note_end(self, failure: EntrepotError | None) -> None:
        """Count the end of a download that this process has written."""
        self._ends.labels(self._registry, "complete" if failure is None else "failed").inc()
