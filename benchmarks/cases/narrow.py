"""An upstream that limits each connection: only several of them use the whole link."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from benchmarks.bench import MIB, OPTIONAL, Bench, Case, Measure
from benchmarks.load import Request, pull, verify
from benchmarks.peers import Entrepot, Peer
from benchmarks.results import US, Bar
from benchmarks.slow_upstream import SlowUpstream

SIZE = 64 * MIB
RATE = 2 * MIB
CONNECTIONS = 8
REPOSITORY = "bench/narrow"


@contextmanager
def _prepare(bench: Bench) -> Iterator[Mapping[str, Measure]]:
    size = bench.size(SIZE, least=8 * MIB)
    with SlowUpstream(REPOSITORY, size, connection_rate=RATE) as upstream:
        measures: dict[str, Measure] = {"direct": lambda: _measure_direct(upstream)}
        for name, peer in bench.present.items():
            chosen = Entrepot(connections=CONNECTIONS) if name == US else peer
            measures[name] = _measurer(bench, chosen, upstream)
        yield measures


def _measure_direct(upstream: SlowUpstream) -> dict[str, float]:
    path = f"/v2/{REPOSITORY}/blobs/{upstream.digest}"
    seen = pull(upstream.port, [[Request(path, upstream.size)]]).require()
    return {"wall": seen.wall, "throughput": seen.received / MIB / seen.wall}


def _measurer(bench: Bench, peer: Peer, upstream: SlowUpstream) -> Measure:
    def measure() -> dict[str, float]:
        with bench.running(peer, upstream.host) as place:
            pull(place.port, [[Request(place.manifest(REPOSITORY, "1"))]]).require()
            path = place.blob(REPOSITORY, upstream.digest)
            seen = pull(place.port, [[Request(path, upstream.size)]]).require()
            verify(place.port, path, upstream.digest, upstream.size)
        return {
            "wall": seen.wall,
            "throughput": seen.received / MIB / seen.wall,
            "first_byte": seen.firsts[0] * 1e3,
        }

    return measure


NARROW = Case(
    "narrow",
    "upstream limited to 2 MiB/s a connection, 64 MiB blob, connections = 8",
    _prepare,
    (Bar("throughput", ">=", 5.0, ("direct",)),),
    most_rounds=2,
    picture="throughput",
    notes=("connections = 8 is the only setting that differs from its default.",),
    without=OPTIONAL,
)
