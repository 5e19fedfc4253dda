"""What is true at the moment, and is not counted: gauges for `/metrics`."""

from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector


@dataclass(frozen=True, slots=True)
class State(Collector):
    """Bytes, running downloads, open connections of clients, and the version.

    `certificates` are the settings that name certificates, and when these end (epoch seconds).
    """

    limit: int
    free: int
    downloads: int
    version: str
    connections: int = 0
    connection_limit: int = 0
    certificates: tuple[tuple[str, float], ...] = ()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the gauges, as a collector of prometheus_client does."""
        yield GaugeMetricFamily(
            "entrepot_limit_bytes", "Bytes that entrepot_used_bytes may reach.", self.limit
        )
        yield GaugeMetricFamily(
            "entrepot_free_bytes", "Bytes that are free on the disk of the data folder.", self.free
        )
        yield GaugeMetricFamily(
            "entrepot_downloads", "Blobs that are being downloaded now.", self.downloads
        )
        yield GaugeMetricFamily(
            "entrepot_connections", "Connections of clients that are open now.", self.connections
        )
        yield GaugeMetricFamily(
            "entrepot_connection_limit",
            "Connections that all workers together may have.",
            self.connection_limit,
        )
        if self.certificates:
            ends = GaugeMetricFamily(
                "entrepot_certificate_expiry_timestamp_seconds",
                "When the certificate of a setting ends, in epoch seconds.",
                labels=["setting"],
            )
            for setting, end in self.certificates:
                ends.add_metric([setting], end)
            yield ends
        build = GaugeMetricFamily(
            "entrepot_build_info", "Always 1; the label is the version.", labels=["version"]
        )
        build.add_metric([self.version], 1)
        yield build
