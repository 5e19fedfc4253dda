"""What is counted. Workers write into files of one folder; the console reads them all together.

prometheus_client decides at import, by the environment variable `PROMETHEUS_MULTIPROC_DIR`, whether
values live in such files. `registry.server.master` sets it, and only then imports
`registry.server.worker` and with it this module.
"""

import os
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, values

SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 300)
KINDS = ("counter", "histogram", "gauge_mostrecent")  # one file of a process for each
ROOM = 128 * 1024  # bytes of such a file; several times what all labels together take


def reserve_files(folder: Path) -> None:
    """Take the disk space that this process's values need, before any `Metrics` are made.

    prometheus_client maps files with holes into memory; filling one on a full disk would kill the
    process by SIGBUS.

    Raises:
        OSError: there is no room; counting then stays in this process's memory, unseen by others.
    """
    paths = [folder / f"{kind}_{os.getpid()}.db" for kind in KINDS]
    fresh = folder / f"{os.getpid()}.new"  # the console reads what ends with .db, and never empty
    try:
        for path in paths:
            if not path.exists():  # else a dead process had our number: its counts go on
                with fresh.open("wb") as file:
                    os.posix_fallocate(file.fileno(), 0, ROOM)
                fresh.rename(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        values.ValueClass = values.MutexValue
        raise


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
        self.pulls_remaining = Gauge(
            "entrepot_upstream_pulls_remaining",
            "Pulls left in the budget that an upstream endpoint last told.",
            ("endpoint", "identity"),
            registry=self.registry,
            multiprocess_mode="mostrecent",
        )
        self._count_storage()

    def _count_storage(self) -> None:
        self.stored_bytes = Counter(
            "entrepot_stored_bytes",
            "Bytes of blobs and manifests that became whole on disk.",
            registry=self.registry,
        )
        self.evicted_bytes = Counter(
            "entrepot_evicted_bytes",
            "Bytes of blobs that were deleted to make room for others.",
            registry=self.registry,
        )
        self.passed_through = Counter(
            "entrepot_passed_through",
            "Blobs that went to a client and could not be kept.",
            registry=self.registry,
        )
        self.quarantined = Counter(
            "entrepot_quarantined",
            "Blobs that were set aside, as their bytes had changed on disk.",
            registry=self.registry,
        )
        self.used_bytes = Gauge(
            "entrepot_used_bytes",
            "Bytes that count for storage.limit: blobs, fills, and what is set aside.",
            registry=self.registry,
            multiprocess_mode="mostrecent",
        )
