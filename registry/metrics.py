"""What is counted. Workers write into files of one folder; the console reads them all together.

prometheus_client asks the global `values.ValueClass` for each value that a metric needs. By default
it decides at import, by an environment variable, whether values live in files. `Metrics` sets that
class itself, so the order of imports does not matter.

What this module relies on in prometheus_client (0.26.0), checked by tests/unit/test_metrics.py:
`prometheus_client.metrics` reads `values.ValueClass` anew for each metric and each new combination
of labels, with the arguments of `values.MutexValue`; `mmap_dict` writes the files that
`MultiProcessCollector(registry, path)` adds up; the name of a file is `<kind>_<process>.db`.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, values
from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.multiprocess import MultiProcessCollector

SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 300)
KINDS = ("counter", "histogram", "gauge_mostrecent")  # each process has one file for each kind
FILE_SIZE = 128 * 1024  # bytes of such a file; several times what all labels together take


class Metrics:
    """The metrics of one process; names are `entrepot_<noun>_<unit>`.

    A process makes one at a time: `value_class` is set for all of prometheus_client, and labels
    that occur for the first time ask for it later.
    """

    @classmethod
    @contextmanager
    def open(cls, folder: Path) -> Iterator["Metrics"]:
        """Give metrics whose values live in files of `folder`, one per kind and process.

        Open it after forking: the files are named after the process. They stay when it is closed.

        Raises:
            OSError: the disk has no room for the files. `Metrics()` then counts in this process's
                memory, where the console does not see it.
        """
        paths = _reserve_files(folder)
        open_file: Any = MmapedDict  # prometheus_client leaves it untyped
        files = {kind: open_file(str(path)) for kind, path in paths.items()}
        try:
            yield cls(_make_value_class(files))
        finally:
            values.ValueClass = values.MutexValue
            for file in files.values():
                file.close()

    def __init__(self, value_class: type = values.MutexValue) -> None:
        """`value_class` makes values as `values.MutexValue` does; by default they are in memory."""
        values.ValueClass = value_class
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "entrepot_requests",
            "Answers to clients by kind, status and origin of the content.",
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
            "Pulls left of the limit, as an upstream endpoint last reported.",
            ("endpoint", "identity"),
            registry=self.registry,
            multiprocess_mode="mostrecent",
        )
        self._count_storage()

    def _count_storage(self) -> None:
        self.stored_bytes = Counter(
            "entrepot_stored_bytes",
            "Bytes of blobs and manifests that were stored on disk.",
            registry=self.registry,
        )
        self.evicted_bytes = Counter(
            "entrepot_evicted_bytes",
            "Bytes of blobs that were deleted to make room for others.",
            registry=self.registry,
        )
        self.passed_through = Counter(
            "entrepot_passed_through",
            "Blobs that were sent to a client without being stored, as there was no space.",
            registry=self.registry,
        )
        self.quarantined = Counter(
            "entrepot_quarantined",
            "Blobs that were moved to quarantine, as their bytes had changed on disk.",
            registry=self.registry,
        )
        self.used_bytes = Gauge(
            "entrepot_used_bytes",
            "Bytes that count for storage.limit: blobs, running downloads and quarantine.",
            registry=self.registry,
            multiprocess_mode="mostrecent",
        )


def collect(folder: Path) -> CollectorRegistry:
    """Return the sums of what all processes have counted in `folder`."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(folder))  # type: ignore[no-untyped-call]
    return registry


def _reserve_files(folder: Path) -> dict[str, Path]:
    """Take the disk space that this process's values need; return the file of each kind.

    prometheus_client maps files with holes into memory; filling one on a full disk would kill the
    process by SIGBUS.

    Raises:
        OSError: there is no room.
    """
    paths = {kind: folder / f"{kind}_{os.getpid()}.db" for kind in KINDS}
    fresh = folder / f"{os.getpid()}.new"  # the console reads names that end with .db, never empty
    try:
        for path in paths.values():
            if not path.exists():  # else a dead process had our number, and its counts go on
                with fresh.open("wb") as file:
                    os.posix_fallocate(file.fileno(), 0, FILE_SIZE)
                fresh.rename(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
    return paths


def _make_value_class(files: dict[str, Any]) -> type:
    """Return a value class like that of `values.MultiProcessValue()`, for a file of each kind.

    That one takes its folder from the environment. A lock is not needed here: metrics are changed
    by one event loop only.
    """

    class FileValue:
        """One number in a file that is mapped into memory."""

        _multiprocess = True

        def __init__(self, kind: str, *key: Any, multiprocess_mode: str = "", **_: Any) -> None:
            self._file = files[f"{kind}_{multiprocess_mode}" if kind == "gauge" else kind]
            self._key = mmap_key(*key)  # metric, name, labels, their values, help text
            self._value: float = self._file.read_value(self._key)[0]

        def inc(self, amount: float) -> None:
            self.set(self._value + amount)

        def set(self, value: float, timestamp: float | None = None) -> None:
            self._value = value
            self._file.write_value(self._key, value, timestamp or 0.0)

        def get(self) -> float:
            return self._value

        def set_exemplar(self, exemplar: object) -> None:
            """Values in files have no exemplars."""

        def get_exemplar(self) -> None:
            """Values in files have no exemplars."""

    return FileValue
