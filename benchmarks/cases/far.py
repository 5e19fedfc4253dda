"""A far upstream: 200 ms to each first byte, 1 MiB/s a connection, and random cuts."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from benchmarks.bench import MIB, Bench, Case, Measure
from benchmarks.cases.endpoints import start_with, take_pull
from benchmarks.results import US, Bar
from tests.fakes.upstream import FakeUpstream
from tests.harness.large_layer import LargeLayer, publish
from tests.harness.several_endpoints import make_far, read_directly

SIZE = 64 * MIB
DIRECTLY = 8  # the direct connection reads one part of so many: it is slow


@contextmanager
def _prepare(bench: Bench) -> Iterator[Mapping[str, Measure]]:
    with FakeUpstream() as hub:
        make_far(hub)
        layer = publish(bench.make_folder("expected"), bench.size(SIZE, 16 * MIB), hub)

        def measure_direct() -> dict[str, float]:
            return {"throughput": read_directly(hub, layer, layer.size // DIRECTLY) / MIB}

        yield {"direct": measure_direct, US: lambda: _measure(bench, hub, layer)}


def _measure(bench: Bench, hub: FakeUpstream, layer: LargeLayer) -> dict[str, float]:
    with start_with(bench, [hub]) as mirror:
        hub.journal.clear()
        return take_pull(mirror, layer)


FAR = Case(
    "far",
    "200 ms to each first byte, 1 MiB/s a connection, cuts about every 4 MiB; 64 MiB",
    _prepare,
    (Bar("throughput", ">=", 6.0, ("direct",)), Bar("upstream", "<=", 1.02)),
    most_rounds=3,
    picture="throughput",
    notes=("direct is one connection that goes on after each cut.",),
)
