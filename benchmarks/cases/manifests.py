"""A tag that was asked about a moment ago, asked for as fast as it is answered."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from benchmarks.bench import Bench, Case, Measure
from benchmarks.content import make_blob, make_image
from benchmarks.load import LoadFailed, Request, pull, run_wrk
from benchmarks.peers import Place
from benchmarks.processes import read_usage
from benchmarks.results import Bar

CONNECTIONS = 32
REPOSITORY = "bench/tag"
FRESH = 64 * 1024  # bytes of a layer nobody pulls here


@contextmanager
def _prepare(bench: Bench) -> Iterator[Mapping[str, Measure]]:
    image = make_image(bench.make_folder("image"), REPOSITORY, [make_blob(FRESH)] * 4)
    expected = image.digest.partition(":")[2]

    def prime(place: Place) -> None:
        request = Request(place.manifest(REPOSITORY, image.tag), len(image.manifest))
        seen = pull(place.port, [[request] * 4] * 8, hashes=True).require()
        if seen.digests != (expected,):
            raise LoadFailed(f"{place.name} serves another manifest")

    with ExitStack() as stack:
        origin = stack.enter_context(bench.origin(image))
        places = bench.all_running(stack, f"127.0.0.1:{origin.port}", prime)
        yield {
            name: _measurer(place, place.manifest(REPOSITORY, image.tag), bench.seconds)
            for name, place in places.items()
        }


def _measurer(place: Place, path: str, seconds: float) -> Measure:
    def measure() -> dict[str, float]:
        # It may have aged while others were measured: then this asks upstream.
        pull(place.port, [[Request(path)]] * CONNECTIONS).require()
        before = read_usage(place.session)
        seen = run_wrk(place, path, connections=CONNECTIONS, seconds=seconds)
        used = read_usage(place.session).cpu - before.cpu
        return {
            "rate": seen.rate,
            "latency": seen.median * 1e3,
            "tail": seen.p99 * 1e3,
            "cpu_each": used / seen.requests * 1e6,
        }

    return measure


MANIFESTS = Case(
    "manifests",
    "tag manifest while fresh, 32 connections",
    _prepare,
    (
        Bar("rate", ">=", 1.5, ("drayage",)),
        Bar("rate", ">=", 0.8, ("nginx",)),
        Bar("rate", ">=", 100.0, ("docker-registry",)),
    ),
    picture="rate",
)
