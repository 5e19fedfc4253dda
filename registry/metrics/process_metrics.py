"""The metrics. Each process writes its values to files of one folder; the console adds them up.

prometheus_client makes each value of a metric with the global class `values.ValueClass`. By default
an environment variable decides at import whether the values are in files. `Metrics` sets the class
itself, so the order of imports does not matter.

This package relies on these facts of prometheus_client (0.26.0; tests/unit/test_metrics.py checks):
`prometheus_client.metrics` reads `values.ValueClass` anew for each metric and each new combination
of labels, with the arguments of `values.MutexValue`; `mmap_dict` writes files as value_reader.py
reads them: the first four bytes are how many are used, and an entry has the length of its key, the
key, a value and its time. A value that is in a file already goes on from there. A `Histogram` has
`_sum`, `_buckets`, `_upper_bounds`, a `Counter` has `_value`. A `MmapedDict` has the places of its
values in `_positions`, the mapped file in `_m`, and how much of it is used and may be used in
`_used` and `_capacity`.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, values

from registry.metrics.pull_limits import PullLimitMetrics
from registry.metrics.store_metrics import StoreMetrics
from registry.metrics.upstream_metrics import UpstreamMetrics
from registry.metrics.value_files import open_values

SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 300)
LAGS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)


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
            OSError: the disk has no space for the files. `Metrics()` then counts in this process's
                memory, where the console does not see it.
        """
        with open_values(folder) as value_class:
            try:
                yield cls(value_class)
            finally:
                values.ValueClass = values.MutexValue

    def __init__(self, value_class: type = values.MutexValue) -> None:
        """`value_class` is the class of the values; by default they are in memory."""
        values.ValueClass = value_class
        self.registry = CollectorRegistry()
        self.requests = self._count(
            "entrepot_requests",
            "Answers to clients by kind, status and origin of the content.",
            "kind",
            "status",
            "origin",
        )
        self.request_seconds = Histogram(
            "entrepot_request_seconds",
            "Seconds from the request line to the end of the answer.",
            ("kind",),
            buckets=SECONDS,
            registry=self.registry,
        )
        self.first_byte_seconds = Histogram(
            "entrepot_first_byte_seconds",
            "Seconds from the request line until the answer with a manifest or a blob begins.",
            ("kind", "origin"),
            buckets=SECONDS,
            registry=self.registry,
        )
        self.sent_bytes = self._count(
            "entrepot_sent_bytes",
            "Bytes of content sent to clients, by kind of request and origin of the content.",
            "kind",
            "origin",
        )
        self.loop_lag_seconds = Histogram(
            "entrepot_loop_lag_seconds",
            "By how many seconds a process does something late that it does each second.",
            ("process",),
            buckets=LAGS,
            registry=self.registry,
        )
        self._count_downloads()
        self._count_storage()
        self._count_connections()
        self._count_upstreams()
        self.upstreams = UpstreamMetrics(self.registry)
        self.pull_limits = PullLimitMetrics(self.registry)
        self.store = StoreMetrics(self.registry)

    def begin_upstream(self, upstream: str) -> None:
        """Begin to count for an upstream with 0, so that the first change of a counter is seen."""
        for counter in (self.downloaded_bytes, self.resumed_bytes, self.wrong_bytes):
            counter.labels(upstream)

    def _count(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _count_upstreams(self) -> None:
        self.tag_warnings = self._count(
            "entrepot_tag_warnings",
            "Answers about tags that others contradict, or that name an earlier manifest again.",
            "endpoint",
            "reason",
        )
        self.endpoint_bytes = self._count(
            "entrepot_endpoint_bytes",
            "Bytes of blobs that came from each endpoint of the settings.",
            "endpoint",
        )
        self.endpoint_failures = self._count(
            "entrepot_endpoint_failures",
            "Requests to each endpoint of the settings that failed, also by 5xx and 429.",
            "endpoint",
        )

    def _count_connections(self) -> None:
        self.refused_connections = self._count(
            "entrepot_refused_connections",
            "Connections of clients that were refused, by what there was too much of.",
            "reason",
        )
        self.cut_connections = self._count(
            "entrepot_cut_connections",
            "Connections of clients that the mirror closed, by what was wrong with them.",
            "reason",
        )
        self.delayed_requests = self._count(
            "entrepot_delayed_requests",
            "Requests that had to wait, by what their address asked for too often.",
            "reason",
        )
        self.refused_requests = self._count(
            "entrepot_refused_requests",
            "Requests that were answered 429 or 503, by what there was too much of.",
            "reason",
        )
        self.lost_records = self._count(
            "entrepot_lost_records",
            "Answers that are not in the access records, as the disk did not take them.",
        )

    def _count_downloads(self) -> None:
        self.downloaded_bytes = self._count(
            "entrepot_downloaded_bytes",
            "Bytes of content that came from upstreams, stored or passed through.",
            "upstream",
        )
        self.resumed_bytes = self._count(
            "entrepot_resumed_bytes",
            "Bytes of whole blobs that an earlier, interrupted download had brought.",
            "upstream",
        )
        self.wrong_bytes = self._count(
            "entrepot_wrong_bytes",
            "Bytes of downloads whose digest was wrong.",
            "upstream",
        )
        self.finished_downloads = self._count(
            "entrepot_finished_downloads",
            "Downloads of blobs that have ended, by upstream and outcome.",
            "upstream",
            "outcome",
        )

    def _count_storage(self) -> None:
        self.stored_bytes = self._count(
            "entrepot_stored_bytes",
            "Bytes of blobs and manifests that were stored on disk.",
        )
        self.evicted_bytes = self._count(
            "entrepot_evicted_bytes",
            "Bytes of blobs that were deleted to free space for others.",
        )
        self.passed_through = self._count(
            "entrepot_passed_through",
            "Blobs that were sent to a client without being stored, as there was no space.",
        )
        self.quarantined = self._count(
            "entrepot_quarantined",
            "Blobs that were moved to quarantine, as their bytes had changed on disk.",
        )
        self.used_bytes = Gauge(
            "entrepot_used_bytes",
            "Bytes that count for storage.limit: blobs, running downloads and quarantine.",
            registry=self.registry,
            multiprocess_mode="mostrecent",
        )


def find_observe(histogram: Histogram) -> Callable[[Sequence[float]], None]:
    """Return what observes many amounts, in the time of one if they are in the same bucket.

    `histogram` is one with labels. Nothing is looked up or checked at the calls.
    """
    add_up, bounds = histogram._sum.inc, histogram._upper_bounds
    count = [bucket.inc for bucket in histogram._buckets]

    def observe(amounts: Sequence[float]) -> None:
        if len(amounts) == 1:
            (amount,) = amounts
            add_up(amount)
            count[bisect_left(bounds, amount)](1)
            return
        add_up(sum(amounts))
        numbers: dict[int, int] = {}
        for each in amounts:
            number = bisect_left(bounds, each)
            numbers[number] = numbers.get(number, 0) + 1
        for number, times in numbers.items():
            count[number](times)

    return observe


def find_inc(counter: Counter) -> Callable[[float], None]:
    """Return the `inc` of a counter with labels, without its checks of labels and amount."""
    inc: Callable[[float], None] = counter._value.inc
    return inc
