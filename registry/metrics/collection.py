"""The metrics of all processes of a server together."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from registry.metrics.pull_limits import LIMIT, REMAINING, UNTIL
from registry.metrics.value_reader import ValueReader


class ServerMetrics(Collector):
    """The metrics of the server with this folder, without pull limits whose period is over.

    It remembers where values are in the files, so the next collection takes less time.
    """

    def __init__(self, folder: Path, now: Callable[[], float] = time.time) -> None:
        self._reader = ValueReader(folder)
        self._now = now

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics, as a collector of prometheus_client does.

        Raises:
            FileNotFoundError: the server has ended, and the folder is gone.
        """
        found, now = list(self._reader.collect()), self._now()
        limits = (sample for each in found if each.name == UNTIL for sample in each.samples)
        over = [sample.labels for sample in limits if sample.value <= now]
        for metric in found:
            if metric.name in (REMAINING, LIMIT, UNTIL):
                metric.samples = [each for each in metric.samples if each.labels not in over]
            yield metric


def collect(metrics: Collector, state: Collector | None = None) -> CollectorRegistry:
    """Return the metrics of a server, and the gauges of its `state`, for one scrape."""
    registry = CollectorRegistry()
    registry.register(metrics)
    if state is not None:
        registry.register(state)
    return registry


@dataclass(frozen=True, slots=True)
class Value:
    """One number of a metric; the name is that in `/metrics`."""

    name: str
    labels: Mapping[str, str]
    number: float


def read_values(folders: Iterable[Path]) -> list[Value]:
    """Return the numbers in the folders of several servers; one that has just ended has none."""
    values: list[Value] = []
    for folder in folders:
        with suppress(FileNotFoundError):
            found = ServerMetrics(folder).collect()
            samples = (each for metric in found for each in metric.samples)
            values += [Value(each.name, each.labels, each.value) for each in samples]
    return values
