"""A client pulls while fifty images are warmed: the client is not to notice it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from benchmarks.bench import Bench, Case, Measure
from benchmarks.cases.endpoints import start_with
from benchmarks.results import US, Bar
from tests.fakes.upstream import FakeUpstream
from tests.harness.shared_link import pull_beside_warming


@contextmanager
def _prepare(bench: Bench) -> Iterator[Mapping[str, Measure]]:
    def measure() -> dict[str, float]:
        with FakeUpstream() as hub, start_with(bench, [hub]) as mirror:
            found = pull_beside_warming(mirror, hub)
        return {
            "alone": found.alone,
            "wall": found.beside,
            "slowdown": found.beside / found.alone,
        }

    yield {US: measure}


WARM = Case(
    "warm",
    "warming 50 images beside a client's pull of a cold image of 36 MiB, link of 12 MiB/s",
    _prepare,
    (Bar("slowdown", "<=", 1.2),),
    most_rounds=3,
    picture="slowdown",
)
