"""A blob that nobody has yet, from an upstream as fast as the disk: what does a cache cost?"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from benchmarks.bench import MIB, Bench, Case, Measure
from benchmarks.content import Blob, make_blob, make_image
from benchmarks.load import Request, pull, verify
from benchmarks.peers import Peer, Place
from benchmarks.processes import await_calm, read_usage
from benchmarks.results import Bar

LARGE, MEDIUM, SMALL = 512 * MIB, 192 * MIB, 96 * MIB
REPOSITORY = "bench/cold"
ONCE = ("docker-registry", "nora")  # peers that transfer a blob once
TWICE = ("angos",)  # passes it through, and fetches it a second time


@contextmanager
def _prepare(bench: Bench, size: int) -> Iterator[Mapping[str, Measure]]:
    blob = make_blob(bench.size(size), seed=1)
    image = make_image(bench.make_folder("image"), REPOSITORY, [blob])
    with bench.origin(image) as origin:
        measures: dict[str, Measure] = {"direct": lambda: _measure(origin, blob)}
        for name, peer in bench.present.items():
            measures[name] = measure_cold(bench, peer, origin, blob)
        yield measures


def measure_cold(bench: Bench, peer: Peer, origin: Place, blob: Blob) -> Measure:
    """Return what starts a peer with nothing, pulls the blob, and compares it with its digest."""

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
    await_calm(place.session)  # some go on with what they have to keep
    used = read_usage(place.session).cpu - before.cpu
    return {
        "wall": seen.wall,
        "first_byte": seen.firsts[0] * 1e3,
        "cpu": used * (1 << 30) / blob.size,
    }


def _make_case(name: str, size: int, *more: Bar, is_repeat: bool = True) -> Case:
    return Case(
        name,
        f"cold {size // MIB} MiB, unthrottled upstream",
        partial(_prepare, size=size),
        (
            Bar("wall", "<=", 1.0, ONCE),
            Bar("cpu", "<=", 0.9, ONCE),
            Bar("wall", "<=", 1.2, TWICE),
            *more,
        ),
        picture="wall",
        is_repeat=is_repeat,
    )


COLD = _make_case("cold", LARGE, Bar("first_byte", "<=", 2.0, ("direct",)), is_repeat=False)
COLD_192 = _make_case("cold-192", MEDIUM)
COLD_96 = _make_case("cold-96", SMALL)
