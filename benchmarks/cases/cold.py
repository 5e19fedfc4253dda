"""A blob that nobody has yet, from an upstream as fast as the disk: what does a cache cost?"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from benchmarks.bench import MIB, Bench, Case, Measure
from benchmarks.content import Blob, make_blob, make_image
from benchmarks.load import Request, pull, verify
from benchmarks.peers import Peer, Place
from benchmarks.processes import read_usage
from benchmarks.results import Bar

SIZE = 512 * MIB
REPOSITORY = "bench/cold"


@contextmanager
def _prepare(bench: Bench) -> Iterator[Mapping[str, Measure]]:
    blob = make_blob(bench.size(SIZE), seed=1)
    image = make_image(bench.make_folder("image"), REPOSITORY, [blob])
    with ExitStack() as stack:
        origin = stack.enter_context(bench.origin(image))
        measures: dict[str, Measure] = {"direct": lambda: _measure(origin, blob)}
        for name, peer in bench.present.items():
            measures[name] = _measurer(bench, peer, origin, blob)
        yield measures


def _measurer(bench: Bench, peer: Peer, origin: Place, blob: Blob) -> Measure:
    def measure() -> dict[str, float]:
        with bench.running(peer, f"127.0.0.1:{origin.port}") as place:
            pull(place.port, [[Request(place.manifest(REPOSITORY, "1"))]]).require()
            sample = _measure(place, blob)
            verify(place.port, place.blob(REPOSITORY, blob.digest), blob.digest, blob.size)
        return sample

    return measure


def _measure(place: Place, blob: Blob) -> dict[str, float]:
    before = read_usage(place.session)
    request = Request(place.blob(REPOSITORY, blob.digest), blob.size)
    seen = pull(place.port, [[request]]).require()
    used = read_usage(place.session).cpu - before.cpu
    return {
        "wall": seen.wall,
        "first_byte": seen.firsts[0] * 1e3,
        "cpu": used * (1 << 30) / blob.size,
    }


COLD = Case(
    "cold",
    "cold 512 MiB, unthrottled upstream",
    _prepare,
    (Bar("wall", "<=", 1.0, "docker-registry"), Bar("first_byte", "<=", 2.0, "direct")),
    picture="wall",
)
