"""Pieces of a large blob at random offsets, as lazy-pulling clients read them."""

import hashlib
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from benchmarks.bench import MIB, Bench, Case, Measure
from benchmarks.cases.hot import CLIENTS, GIB, REPOSITORY, warm_blob
from benchmarks.content import Blob
from benchmarks.load import LoadFailed, Request, pull
from benchmarks.peers import Place
from benchmarks.processes import read_usage
from benchmarks.results import Bar

EACH = 128  # ranges that one client reads
STEPS = 4096  # offsets are multiples of this, so that their order favours nobody


@contextmanager
def _prepare(bench: Bench) -> Iterator[Mapping[str, Measure]]:
    with warm_blob(bench, bench.size(GIB, least=4 * MIB)) as (places, blob):
        each = bench.count(EACH, least=8)
        yield {name: _measurer(place, blob, each) for name, place in places.items()}


def _measurer(place: Place, blob: Blob, each: int) -> Measure:
    path = place.blob(REPOSITORY, blob.digest)

    def measure() -> dict[str, float]:
        _check_one(place, blob, path)
        clients = plan_reads(blob.size, each, lambda span: Request(path, MIB, span))
        before = read_usage(place.session)
        seen = pull(place.port, clients, processes=2).require()
        used = read_usage(place.session).cpu - before.cpu
        return {
            "throughput": seen.received / MIB / seen.wall,
            "cpu": used * GIB / seen.received,
            "rate": len(seen.times) / seen.wall,
        }

    return measure


def plan_reads(
    size: int, each: int, ask: Callable[[str], Request], clients: int = CLIENTS
) -> list[list[Request]]:
    """Choose every client's spans of 1 MiB; the same ones for everybody, whoever answers."""
    chance = random.Random(size)  # noqa: S311 - not a secret
    starts = range(0, size - MIB + 1, STEPS)
    plans = []
    for _ in range(clients):
        offsets = [chance.choice(starts) for _ in range(each)]
        plans.append([ask(f"bytes={at}-{at + MIB - 1}") for at in offsets])
    return plans


def _check_one(place: Place, blob: Blob, path: str) -> None:
    start = blob.size // 3
    seen = pull(
        place.port, [[Request(path, MIB, f"bytes={start}-{start + MIB - 1}")]], hashes=True
    ).require()
    with blob.path.open("rb") as file:
        file.seek(start)
        if seen.digests != (hashlib.sha256(file.read(MIB)).hexdigest(),):
            raise LoadFailed(f"{place.name} sends another range than was asked for")


RANGES = Case(
    "ranges",
    "Range reads of 1 MiB at random offsets, 16 clients",
    _prepare,
    (Bar("throughput", ">=", 0.9, ("nginx",)),),
    picture="throughput",
)
