"""A large blob that everyone has: for one client, and for sixteen at once."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

from benchmarks.bench import MIB, OPTIONAL, Bench, Case, Measure
from benchmarks.content import Blob, Image, make_blob, make_image
from benchmarks.load import Request, pull, verify
from benchmarks.peers import Place
from benchmarks.processes import read_usage
from benchmarks.results import Bar

GIB = 1 << 30
CLIENTS = 16
WORTHWHILE = 256 * MIB  # bytes: CPU time is counted in hundredths of a second
REPOSITORY = "bench/hot"


@contextmanager
def warm_blob(bench: Bench, size: int) -> Iterator[tuple[dict[str, Place], Blob]]:
    """Start everyone with one blob in their caches, each checked byte by byte."""
    blob = make_blob(size)
    image: Image = make_image(bench.make_folder("image"), REPOSITORY, [blob])

    def prime(place: Place) -> None:
        pull(place.port, [[Request(place.manifest(REPOSITORY, image.tag))]]).require()
        for _ in range(2):  # the second time from the cache
            verify(place.port, place.blob(REPOSITORY, blob.digest), blob.digest, blob.size)

    with ExitStack() as stack:
        origin = stack.enter_context(bench.origin(image))
        yield bench.all_running(stack, f"127.0.0.1:{origin.port}", prime), blob


def measure_pulls(place: Place, blob: Blob, clients: int, processes: int) -> dict[str, float]:
    """Let clients pull the whole blob at once; a small one several times, each after the other."""
    request = Request(place.blob(REPOSITORY, blob.digest), blob.size)
    repeats = max(1, WORTHWHILE // (blob.size * clients))
    before = read_usage(place.session)
    seen = pull(place.port, [[request] * repeats] * clients, processes=processes).require()
    used = read_usage(place.session).cpu - before.cpu
    return {
        "wall": seen.wall / repeats,
        "throughput": seen.received / MIB / seen.wall,
        "cpu": used * GIB / seen.received,
    }


@contextmanager
def prepare_one(bench: Bench) -> Iterator[Mapping[str, Measure]]:
    """Have one client pull the blob from each in turn."""
    with warm_blob(bench, bench.size(GIB)) as (places, blob):
        yield {name: _measure(place, blob, 1, 1) for name, place in places.items()}


@contextmanager
def prepare_sixteen(bench: Bench) -> Iterator[Mapping[str, Measure]]:
    """Have sixteen clients pull it at once."""
    with warm_blob(bench, bench.size(GIB)) as (places, blob):
        yield {name: _measure(place, blob, CLIENTS, 2) for name, place in places.items()}


def _measure(
    place: Place, blob: Blob, clients: int, processes: int
) -> Callable[[], dict[str, float]]:
    return lambda: measure_pulls(place, blob, clients, processes)


HOT = Case(
    "hot",
    "hot 1 GiB blob, one client",
    prepare_one,
    (Bar("wall", "<=", 1.15, ("nginx",)), Bar("cpu", "<=", 1.0, ("nginx",))),
    picture="wall",
)
HOT_16 = Case(
    "hot-16",
    "hot 1 GiB blob, 16 clients",
    prepare_sixteen,
    (
        Bar("throughput", ">=", 0.95, ("nginx",)),
        Bar("throughput", ">=", 1.0, ("docker-registry",)),
        Bar("throughput", ">=", 5.0, ("drayage",)),
    ),
    most_rounds=3,
    picture="throughput",
    without=OPTIONAL,
)
