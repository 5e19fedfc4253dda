"""Fifty clients want the same blob at the same moment, and the link is slow."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from benchmarks.bench import MIB, OPTIONAL, Bench, Case, Measure
from benchmarks.load import Request, pull
from benchmarks.peers import Peer
from benchmarks.results import Bar
from benchmarks.slow_upstream import SlowUpstream

SIZE = 256 * MIB
RATE = 40 * MIB
CLIENTS = 50
REPOSITORY = "bench/rush"
LONGEST = 8.0  # times one direct download; a peer that takes longer has failed


@contextmanager
def _prepare(bench: Bench) -> Iterator[Mapping[str, Measure]]:
    size = bench.size(SIZE, least=8 * MIB)
    with SlowUpstream(REPOSITORY, size, rate=RATE) as upstream:
        measures: dict[str, Measure] = {"direct": lambda: _measure_direct(upstream)}
        for name, peer in bench.present.items():
            measures[name] = _measurer(bench, peer, upstream)
        yield measures


def _measure_direct(upstream: SlowUpstream) -> dict[str, float]:
    upstream.count_sent()
    path = f"/v2/{REPOSITORY}/blobs/{upstream.digest}"
    seen = pull(upstream.port, [[Request(path, upstream.size)]]).require()
    return {"wall": seen.wall, "upstream": upstream.count_sent() / upstream.size}


def _measurer(bench: Bench, peer: Peer, upstream: SlowUpstream) -> Measure:
    retries = LONGEST * upstream.size / RATE + 2

    def measure() -> dict[str, float]:
        with bench.running(peer, upstream.host) as place:
            pull(place.port, [[Request(place.manifest(REPOSITORY, "1"))]]).require()
            upstream.count_sent()
            request = Request(place.blob(REPOSITORY, upstream.digest), upstream.size)
            seen = pull(place.port, [[request]] * CLIENTS, processes=2, retries=retries)
            sent = upstream.count_sent() / upstream.size
        sample = {"upstream": sent, "errors": float(seen.failed), "wall": seen.wall}
        if seen.firsts:
            sample["first_byte"] = max(seen.firsts) * 1e3
        return sample

    return measure


CONCURRENT = Case(
    "concurrent",
    "50 concurrent cold pulls of 256 MiB, upstream throttled to 40 MiB/s",
    _prepare,
    (
        Bar("upstream", "<=", 1.0),
        Bar("wall", "<=", 1.2, ("direct",)),
        Bar("errors", "<=", 0.0),
    ),
    most_rounds=3,
    picture="upstream",
    notes=(
        f"A program is stopped after {LONGEST:g} times the time of a direct download.",
        "Its unfinished clients count as errors, and its upstream bytes are those until then.",
        "The first byte is that of the client that waited for it the longest.",
    ),
    without=OPTIONAL,
)
