"""What the background process measures of the data folder now and then, as metrics."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Gauge


class StoreMetrics:
    """Gauges of the data folder."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self.pinned_bytes = self._make(
            "entrepot_pinned_bytes", "Bytes of blobs that pins keep from being evicted."
        )
        self.blobs = self._make("entrepot_blobs", "Blobs that are stored.")
        self.images = self._make("entrepot_images", "Tags that are stored.")
        self.quarantined_bytes = self._make(
            "entrepot_quarantined_bytes", "Bytes of damaged blobs in quarantine."
        )
        self.clients = self._make(
            "entrepot_clients", "Addresses that have pulled an image within the last hour."
        )
        self.audit_end = self._make(
            "entrepot_audit_last_end_timestamp_seconds",
            "When an audit of all blobs last ended, in epoch seconds; 0: never.",
            ("auditor",),
        )

    def _make(self, name: str, text: str, labels: Sequence[str] = ()) -> Gauge:
        return Gauge(name, text, labels, registry=self._registry, multiprocess_mode="mostrecent")
