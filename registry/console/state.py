"""What is true at the moment, and is not counted in files: gauges for `/metrics`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


@dataclass(frozen=True, slots=True, eq=False)
class State(Collector):
    """Bytes, running downloads, open connections of clients, processes, and the version.

    `arrived` are the bytes of running downloads that are here, and `readers` the clients that read
    them. `workers` answer, and `replaced` is how many processes were replaced, as they died or did
    not answer. `memory` (bytes) and `open_files` are by the name of a process. `certificates` are
    the settings that name certificates, and when these end (epoch seconds). `loading` says whether
    the settings were loaded when that was last asked for, and when they last were (epoch seconds).
    """

    limit: int
    free: int
    downloads: int
    version: str
    arrived: int = 0
    readers: int = 0
    connections: int = 0
    connection_limit: int = 0
    workers: int = 0
    replaced: int = 0
    memory: Mapping[str, int] = field(default_factory=dict)
    open_files: Mapping[str, int] = field(default_factory=dict)
    certificates: tuple[tuple[str, float], ...] = ()
    loading: tuple[bool, float] = (True, 0.0)

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges, as a collector of prometheus_client does."""
        for name, text, value in (
            ("limit_bytes", "Bytes that entrepot_used_bytes may reach.", self.limit),
            ("free_bytes", "Bytes that are free on the disk of the data folder.", self.free),
            ("downloads", "Blobs that are being downloaded now.", self.downloads),
            (
                "downloading_bytes",
                "Bytes that are here of blobs that are being downloaded now.",
                self.arrived,
            ),
            (
                "download_readers",
                "Clients that get a blob now while it is being downloaded.",
                self.readers,
            ),
            ("connections", "Connections of clients that are open now.", self.connections),
            (
                "connection_limit",
                "Connections that all workers together may have.",
                self.connection_limit,
            ),
            ("workers", "Pull workers that answer.", self.workers),
            (
                "config_reload_success",
                "0 if the settings were not loaded when the server was last told to, else 1.",
                self.loading[0],
            ),
            (
                "config_reload_success_timestamp_seconds",
                "When the settings were last loaded, in epoch seconds.",
                self.loading[1],
            ),
        ):
            yield GaugeMetricFamily(f"entrepot_{name}", text, value)
        yield CounterMetricFamily(
            "entrepot_worker_restarts",
            "Processes that were replaced, as they died or did not answer.",
            self.replaced,
        )
        yield _list("memory_bytes", "Bytes of memory of each process.", "process", self.memory)
        yield _list("open_files", "Files and sockets of each worker.", "process", self.open_files)
        if self.certificates:
            yield _list(
                "certificate_expiry_timestamp_seconds",
                "When the certificate of a setting ends, in epoch seconds.",
                "setting",
                dict(self.certificates),
            )
        yield _list("build_info", "Always 1.", "version", {self.version: 1})


def _list(name: str, text: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"entrepot_{name}", text, labels=[label])
    for each, value in values.items():
        family.add_metric([each], value)
    return family
