"""Two hundred clients on bad lines must not slow down the one on a good one."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from benchmarks.bench import OPTIONAL, Bench, Case, Measure
from benchmarks.cases.hot import GIB, REPOSITORY, measure_pulls, warm_blob
from benchmarks.content import Blob
from benchmarks.load import slow_readers
from benchmarks.peers import Place
from benchmarks.results import Bar

READERS = 200
RATE = 64 * 1024  # bytes a second of each
REPEATS = 3  # fast pulls, so that a moment's luck does not decide


@contextmanager
def _prepare(bench: Bench) -> Iterator[Mapping[str, Measure]]:
    with warm_blob(bench, bench.size(GIB, least=64 << 20)) as (places, blob):
        readers = bench.count(READERS, least=20)
        yield {name: _measurer(place, blob, readers) for name, place in places.items()}


def _measurer(place: Place, blob: Blob, readers: int) -> Measure:
    def pull_fast() -> float:
        return sum(measure_pulls(place, blob, 1, 1)["wall"] for _ in range(REPEATS)) / REPEATS

    def measure() -> dict[str, float]:
        alone = pull_fast()
        with slow_readers(place, place.blob(REPOSITORY, blob.digest), readers, RATE):
            beside = pull_fast()
        return {"alone": alone, "wall": beside, "slowdown": beside / alone}

    return measure


SLOW = Case(
    "slow",
    "200 slow readers (64 KiB/s) during a fast pull of a hot 1 GiB blob",
    _prepare,
    (Bar("slowdown", "<=", 1.2),),
    most_rounds=3,
    picture="slowdown",
    without=OPTIONAL,
)
