"""The metrics. Each process writes its values to files of one folder; the console adds them up.

prometheus_client makes each value of a metric with the global class `values.ValueClass`. By default
an environment variable decides at import whether the values are in files. `Metrics` sets the class
itself, so the order of imports does not matter.

This module relies on these facts of prometheus_client (0.26.0; tests/unit/test_metrics.py checks):
`prometheus_client.metrics` reads `values.ValueClass` anew for each metric and each new combination
of labels, with the arguments of `values.MutexValue`; `mmap_dict` writes the files that
`MultiProcessCollector(registry, path)` adds up; the name of a file is `<kind>_<number>.db`. A value
that is in a file already goes on from there.
"""

import fcntl
import itertools
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, values
from prometheus_client.core import Metric
from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 300)
KINDS = ("counter", "histogram", "gauge_mostrecent")  # each process has one file for each kind
FILE_SIZE = 128 * 1024  # bytes of one file; all values together take much less
_PULLS_REMAINING = "entrepot_upstream_pulls_remaining"
_PULLS_UNTIL = "entrepot_upstream_pulls_until_seconds"


class Metrics:
    """The metrics of one process; names are `entrepot_<noun>_<unit>`.

    A process may have only one `Metrics` at a time: `value_class` is global in prometheus_client,
    and is used later too, when labels occur for the first time.
    """

    @classmethod
    @contextmanager
    def open(cls, folder: Path) -> Iterator["Metrics"]:
        """Yield metrics whose values are in files of `folder`, one file for each kind and process.

        Open them after forking, because each process has its own files. The files stay after the
        end of the `with` block: the next process goes on with them.

        Raises:
            OSError: the disk has no room for the files. `Metrics()` then counts in this process's
                memory, where the console does not see it.
        """
        with _open_values(folder) as value_class:
            try:
                yield cls(value_class)
            finally:
                values.ValueClass = values.MutexValue

    def __init__(self, value_class: type = values.MutexValue) -> None:
        """`value_class` is the class of the values; by default they are in memory."""
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
            "entrepot_sent_bytes",
            "Bytes of content sent to clients, by origin of the content.",
            ("origin",),
            registry=self.registry,
        )
        self.pulls_remaining = Gauge(
            _PULLS_REMAINING,
            "Pulls left of the limit, as an upstream endpoint last reported.",
            ("endpoint", "identity"),
            registry=self.registry,
            multiprocess_mode="mostrecent",
        )
        self._count_storage()
        self._count_connections()
        received = "Bytes of blobs that came from each endpoint of the settings."
        self.endpoint_bytes = self._count_by_endpoint("entrepot_endpoint_bytes", received)
        failed = "Requests to each endpoint of the settings that failed, also by 5xx and 429."
        self.endpoint_failures = self._count_by_endpoint("entrepot_endpoint_failures", failed)

        self._pulls_until = Gauge(
            _PULLS_UNTIL,
            "When the period of a pull limit ends, in epoch seconds.",
            ("endpoint", "identity"),
            registry=self.registry,
            multiprocess_mode="mostrecent",
        )

    def note_pull_limit(
        self, endpoint: str, identity: str, remaining: int, *, until: float
    ) -> None:
        """Note how many pulls an endpoint has left; `until` (epoch seconds) its period ends."""
        self.pulls_remaining.labels(endpoint, identity).set(remaining)
        self._pulls_until.labels(endpoint, identity).set(until)

    def _count_by_endpoint(self, name: str, text: str) -> Counter:
        return Counter(name, text, ("endpoint",), registry=self.registry)

    def _count_connections(self) -> None:
        self.refused_connections = Counter(
            "entrepot_refused_connections",
            "Connections of clients that were refused, by what there was too much of.",
            ("reason",),
            registry=self.registry,
        )
        self.cut_connections = Counter(
            "entrepot_cut_connections",
            "Connections of clients that the mirror closed, by what was wrong with them.",
            ("reason",),
            registry=self.registry,
        )
        self.delayed_requests = Counter(
            "entrepot_delayed_requests",
            "Requests that had to wait, by what their address asked for too often.",
            ("reason",),
            registry=self.registry,
        )

    def _count_storage(self) -> None:
        self.downloaded_bytes = Counter(
            "entrepot_downloaded_bytes",
            "Bytes of content that came from upstreams, stored or passed through.",
            registry=self.registry,
        )
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


@dataclass(frozen=True, slots=True)
class _CurrentMetrics:
    """The metrics in `folder`, without the pull limits of which the period is over at `now`."""

    folder: Path
    now: float

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics, as a collector of prometheus_client does."""
        collector = MultiProcessCollector(None, str(self.folder))  # type: ignore[no-untyped-call]
        found: list[Metric] = list(collector.collect())  # type: ignore[no-untyped-call]
        limits = (sample for each in found if each.name == _PULLS_UNTIL for sample in each.samples)
        over = [sample.labels for sample in limits if sample.value <= self.now]
        for metric in found:
            if metric.name in (_PULLS_REMAINING, _PULLS_UNTIL):
                metric.samples = [each for each in metric.samples if each.labels not in over]
            yield metric


def collect(folder: Path, state: Collector | None = None) -> CollectorRegistry:
    """Return the metrics in `folder`, added up over all processes, and the gauges of `state`."""
    registry = CollectorRegistry()
    registry.register(_CurrentMetrics(folder, time.time()))
    if state is not None:
        registry.register(state)
    return registry


@contextmanager
def _open_values(folder: Path) -> Iterator[type]:
    """Yield a class like `values.MutexValue` whose values are in files of `folder`.

    Each process has files of its own, one for each kind. They stay after the end of the `with`
    block, and the next process goes on with them.

    Raises:
        OSError: the disk has no room for the files.
    """
    number, lock = _take_place(folder)
    try:
        open_file: Any = MmapedDict  # prometheus_client leaves it untyped
        files = {kind: open_file(str(path)) for kind, path in _make_files(folder, number).items()}
        try:
            yield _make_value_class(files)
        finally:
            for file in files.values():
                file.close()
    finally:
        os.close(lock)


def _take_place(folder: Path) -> tuple[int, int]:
    """Return a number that no other living process has, and the descriptor of the lock on it.

    It may be the number of a process that has ended: this one then continues its files. So a server
    has as many files as it has processes, and the counts of ended processes are kept.

    Raises:
        OSError: the disk refuses files.
    """
    for number in itertools.count():
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        lock = os.open(folder / f"{number}.lock", flags, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
        else:
            return number, lock
    raise AssertionError("there is always another number")


def _make_files(folder: Path, number: int) -> dict[str, Path]:
    """Make those files of a number that are missing, without holes; return the file of each kind.

    prometheus_client would map files with holes into memory. A write to a hole on a full disk kills
    the process by SIGBUS.

    Raises:
        OSError: the disk has too little space.
    """
    paths = {kind: folder / f"{kind}_{number}.db" for kind in KINDS}
    fresh = folder / f"{number}.new"  # the console reads *.db; these must not be empty
    try:
        for path in paths.values():
            if not path.exists():
                with fresh.open("wb") as file:
                    os.posix_fallocate(file.fileno(), 0, FILE_SIZE)
                fresh.rename(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
    return paths


def _make_value_class(files: dict[str, Any]) -> type:
    """Return a class like `values.MultiProcessValue()` whose values are in `files`, by kind.

    `MultiProcessValue` takes its folder from the environment. This class needs no lock, because
    only one event loop changes metrics.
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
