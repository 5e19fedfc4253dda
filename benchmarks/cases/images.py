"""A whole office starts at nine: a thousand clients pull one image that the cache has not got."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from benchmarks.bench import MIB, OPTIONAL, Bench, Case, Measure
from benchmarks.content import Image, make_blob, make_image
from benchmarks.load import PATIENCE, Request, pull, verify
from benchmarks.peers import Peer, Place
from benchmarks.processes import read_usage
from benchmarks.results import Bar

CLIENTS = 1000
LAYERS = 10
SIZE = MIB  # bytes of a layer
REPOSITORY = "bench/ten"


@contextmanager
def _prepare(bench: Bench) -> Iterator[Mapping[str, Measure]]:
    layers = [make_blob(SIZE, seed=100 + number) for number in range(LAYERS)]
    image = make_image(bench.make_folder("image"), REPOSITORY, layers)
    clients = bench.count(CLIENTS, least=20)
    with ExitStack() as stack:
        origin = stack.enter_context(bench.origin(image))
        yield {
            name: _measurer(bench, peer, origin, image, clients)
            for name, peer in bench.present.items()
        }


def _measurer(bench: Bench, peer: Peer, origin: Place, image: Image, clients: int) -> Measure:
    def measure() -> dict[str, float]:
        with bench.running(peer, f"127.0.0.1:{origin.port}") as place:
            requests = [Request(place.manifest(REPOSITORY, image.tag), len(image.manifest))]
            requests += [
                Request(place.blob(REPOSITORY, one.digest), one.size) for one in image.blobs
            ]
            seen = pull(place.port, [requests] * clients, processes=2)
            usage = read_usage(place.session)
            for blob in image.blobs:
                verify(place.port, place.blob(REPOSITORY, blob.digest), blob.digest, blob.size)
        return {
            "errors": float(seen.failed),
            "wall": seen.wall,
            "throughput": seen.received / MIB / seen.wall,
            "rss": usage.peaks[0],
            "cpu": usage.cpu * 1024 * MIB / max(1, seen.received),
        }

    return measure


IMAGES = Case(
    "images",
    "1,000 clients pulling one 10-layer image at once, cold",
    _prepare,
    (Bar("errors", "<=", 0.0), Bar("rss", "<=", 120.0)),
    most_rounds=3,
    picture="rss",
    notes=(
        "RSS is the peak of the largest process of each program.",
        f"Clients that have not ended after {PATIENCE:g} s count as errors.",
    ),
    without=OPTIONAL,
)
