"""Reading the values of all processes of a server, which change meanwhile, and adding them up.

prometheus_client has a `MultiProcessCollector` for this. It parses each file anew at each scrape,
which takes 60 ms for 17 processes (decision record 0047). Here the places of values are remembered:
a process only adds values at the end of its files, and never moves one.
"""

import json
import os
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from operator import itemgetter
from pathlib import Path

from prometheus_client.core import Metric
from prometheus_client.samples import Sample
from prometheus_client.utils import floatToGoString

_INTEGER = struct.Struct("i")
_NUMBER = 8  # bytes of a value, and of its time after it
_BEGIN = 8  # bytes before the first entry, of which the first four are the number of used bytes
_MORE = 16 * 1024  # bytes that are read beyond those that were used the last time
_NO_NUMBERS = memoryview(b"").cast("d")
_MOST_KEYS = 20_000  # that are remembered


@dataclass(slots=True)
class _Layout:
    """Where the values of one file are: their keys, and their places among its numbers."""

    used: int = _BEGIN
    keys: list[str] = field(default_factory=list)
    places: list[int] = field(default_factory=list)

    def extend(self, data: bytes, used: int) -> None:
        """Add the entries up to `used`, which are after those that are known.

        After a power cut, a part of a file may be empty that had not been written to the disk yet.
        What is behind that is not read.
        """
        at = self.used
        while at < used:
            (length,) = _INTEGER.unpack_from(data, at)
            key = data[at + _INTEGER.size : at + _INTEGER.size + length]
            if not (key.startswith(b"[") and key.endswith(b"]")) or b"\0" in key:
                break
            at += _INTEGER.size + length + (_NUMBER - (length + _INTEGER.size) % _NUMBER)
            self.keys.append(key.decode())
            self.places.append(at // _NUMBER)
            at += 2 * _NUMBER
        self.used = at


class ValueReader:
    """Reads the metrics of the processes of one server, whose files are in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._layouts: dict[str, _Layout] = {}

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics, added up over all processes; of gauges, the value that was set last.

        Raises:
            FileNotFoundError: the server has ended, and the folder is gone.
        """
        sums: dict[str, dict[str, float]] = {"counter": {}, "histogram": {}}
        latest: dict[str, tuple[float, float]] = {}  # time and value
        for name in sorted(os.listdir(self._folder)):  # noqa: PTH208 - at each scrape
            if not name.endswith(".db"):
                continue
            kind, layout, numbers = name.partition("_")[0], *self._read(name)
            if kind == "gauge":
                for key, place in zip(layout.keys, layout.places, strict=True):
                    found = numbers[place + 1], numbers[place]
                    if found > latest.get(key, (0.0, 0.0)):
                        latest[key] = found
                continue
            added = sums[kind]
            for key, place in zip(layout.keys, layout.places, strict=True):
                added[key] = added.get(key, 0.0) + numbers[place]
        yield from _group("counter", sums["counter"].items())
        yield from _group("gauge", ((key, value) for key, (_, value) in latest.items()))
        yield from _accumulate(sums["histogram"])

    def _read(self, name: str) -> "tuple[_Layout, memoryview[float]]":
        layout = self._layouts.setdefault(name, _Layout())
        with (self._folder / name).open("rb", buffering=0) as file:
            data = file.read(layout.used + _MORE) or b""
            if len(data) < layout.used:  # a power cut has left less
                return _Layout(), _NO_NUMBERS
            (used,) = _INTEGER.unpack_from(data)
            while len(data) < used and (more := file.read(used - len(data))):
                data += more
        if layout.used < used <= len(data):
            layout.extend(data, used)
        return layout, memoryview(data)[: layout.used].cast("d")


@dataclass(frozen=True, slots=True)
class _Key:
    """What a key says: metric, name of the sample, its labels, and the help text.

    The key of a bucket also has the upper `bound`, and `child`: the labels without that.
    """

    metric: str
    name: str
    labels: dict[str, str]
    text: str
    bound: float | None = None
    child: tuple[tuple[str, str], ...] = ()


@lru_cache(_MOST_KEYS)
def _parse(key: str) -> _Key:
    metric, name, labels, text = json.loads(key)
    if "le" not in labels:
        return _Key(metric, name, labels, text)
    bound = float(labels.pop("le"))
    limit: str = floatToGoString(bound)  # type: ignore[no-untyped-call]
    child = tuple(labels.items())
    return _Key(metric, f"{metric}_bucket", labels | {"le": limit}, text, bound, child)


def _group(kind: str, values: Iterable[tuple[str, float]]) -> Iterator[Metric]:
    metrics: dict[str, Metric] = {}
    for text, value in values:
        key = _parse(text)
        if key.metric not in metrics:
            metrics[key.metric] = Metric(key.metric, key.text, kind)
        metrics[key.metric].samples.append(Sample(key.name, key.labels, value))
    yield from metrics.values()


def _accumulate(values: dict[str, float]) -> Iterator[Metric]:
    """Yield histograms: each bucket has what is in it and in all smaller ones."""
    metrics: dict[str, Metric] = {}
    buckets: dict[tuple[str, tuple[tuple[str, str], ...]], list[tuple[float, float, _Key]]] = {}
    for text, value in values.items():
        key = _parse(text)
        if key.metric not in metrics:
            metrics[key.metric] = Metric(key.metric, key.text, "histogram")
        if key.bound is None:
            metrics[key.metric].samples.append(Sample(key.name, key.labels, value))
        else:
            child = buckets.setdefault((key.metric, key.child), [])
            child.append((key.bound, value, key))
    for (metric, labels), found in buckets.items():
        count = 0.0
        samples = metrics[metric].samples
        for _, value, key in sorted(found, key=itemgetter(0)):
            count += value
            samples.append(Sample(key.name, key.labels, count))
        samples.append(Sample(f"{metric}_count", dict(labels), count))
    yield from metrics.values()
