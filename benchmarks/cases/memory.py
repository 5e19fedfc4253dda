"""How much memory a cache needs: after its start, and after many large blobs at once."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from benchmarks.bench import MIB, Bench, Case, Measure
from benchmarks.content import Image, make_blob, make_image
from benchmarks.load import Request, pull
from benchmarks.peers import Peer, Place
from benchmarks.processes import await_calm, read_pss
from benchmarks.results import Bar

PULLS = 16
SIZE = 32 * MIB


@contextmanager
def _prepare(bench: Bench) -> Iterator[Mapping[str, Measure]]:
    size = bench.size(SIZE)
    folder = bench.make_folder("image")
    images = [
        make_image(folder, f"bench/memory-{number}", [make_blob(size, seed=400 + number)])
        for number in range(PULLS)
    ]
    with bench.origin(*images) as origin:
        yield {name: _measurer(bench, peer, origin, images) for name, peer in bench.present.items()}


def _measurer(bench: Bench, peer: Peer, origin: Place, images: Sequence[Image]) -> Measure:
    def measure() -> dict[str, float]:
        with bench.running(peer, f"127.0.0.1:{origin.port}") as place:
            idle = read_pss(place.session)
            pull(place.port, [_list_requests(place, image) for image in images]).require()
            await_calm(place.session)
            return {"idle": idle, "loaded": read_pss(place.session)}

    return measure


def _list_requests(place: Place, image: Image) -> list[Request]:
    requests = [Request(place.manifest(image.repository, image.tag), len(image.manifest))]
    return requests + [
        Request(place.blob(image.repository, each.digest), each.size) for each in image.blobs
    ]


MEMORY = Case(
    "memory",
    "memory of all processes, idle and after 16 cold pulls of 32 MiB at once",
    _prepare,
    (Bar("idle", "<=", 60.0), Bar("loaded", "<=", 75.0)),
    picture="loaded",
    notes=("PSS: pages that processes share count once.",),
)
