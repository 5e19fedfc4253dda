"""What is counted. Workers write into files of one folder; the console reads them all together.

prometheus_client decides at import, by the environment variable `PROMETHEUS_MULTIPROC_DIR`, whether
values live in such files. `registry.processes` sets it before anything imports this module.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 300)


class Metrics:
    """The metrics of one process; names are `entrepot_<noun>_<unit>`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "entrepot_requests",
            "Answers to clients by kind, status and where the content came from.",
            ("kind", "status", "origin"),
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "entrepot_request_seconds",
            "Seconds from the request line to the end of the answer.",
            ("kind",),
            buckets=SECONDS,
            registry=self.registry,
        )
        self.sent_bytes = Counter(
            "entrepot_sent_bytes", "Bytes of content sent to clients.", registry=self.registry
        )
        self.stored_bytes = Counter(
            "entrepot_stored_bytes",
            "Bytes of blobs that became whole on disk.",
            registry=self.registry,
        )
        self.pulls_remaining = Gauge(
            "entrepot_upstream_pulls_remaining",
            "Pulls left in the budget that an upstream endpoint last told.",
            ("endpoint", "identity"),
            registry=self.registry,
            multiprocess_mode="mostrecent",
        )
