"""How much later than directly the first byte of a cold blob comes: in the first and later ones."""

import shutil
import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from benchmarks.bench import MIB, Bench, Case, Measure
from benchmarks.content import Blob, Image, make_blob, make_image
from benchmarks.load import Request, pull, verify
from benchmarks.peers import Peer, Place
from benchmarks.processes import await_calm
from benchmarks.results import Bar

REPOSITORY = "bench/first"
SIZE = 32 * MIB
MEASURED = 6  # cold blobs one by one, of which the first is the first request after a start
USED = 16  # cold blobs that are pulled at once, so that every worker has served some


@contextmanager
def _prepare(bench: Bench) -> Iterator[Mapping[str, Measure]]:
    size = bench.size(SIZE)
    measured = bench.count(MEASURED, least=2)
    blobs = [make_blob(size, seed=200 + number) for number in range(measured)]
    others = [make_blob(MIB, seed=300 + number) for number in range(USED)]
    image = make_image(bench.make_folder("image"), REPOSITORY, [*blobs, *others])
    with bench.origin(image) as origin:
        # So that no file comes from the disk later.
        paths = [origin.blob(REPOSITORY, each.digest) for each in image.blobs]
        pull(origin.port, [[Request(path) for path in paths]]).require()
        yield {
            name: _measurer(bench, peer, origin, image, measured)
            for name, peer in bench.present.items()
        }


def _measurer(bench: Bench, peer: Peer, origin: Place, image: Image, measured: int) -> Measure:
    _, *blobs = image.blobs  # without the config
    upstream = f"127.0.0.1:{origin.port}"

    def measure() -> dict[str, float]:
        folder = bench.make_folder(peer.name)
        place = peer.start(folder, upstream)
        try:
            await_calm(place.session)
            pull(place.port, [[Request(place.manifest(REPOSITORY, image.tag))]]).require()
        finally:
            place.stop()
        place = peer.start(folder, upstream)  # with the manifest known, and no request served yet
        try:
            await_calm(place.session)
            return _measure_started(origin, place, blobs[:measured], blobs[measured:])
        finally:
            place.stop()
            shutil.rmtree(folder, ignore_errors=True)

    return measure


def _measure_started(
    origin: Place, place: Place, blobs: Sequence[Blob], others: Sequence[Blob]
) -> dict[str, float]:
    fresh = _compare(origin, place, blobs[0])
    requests = [[Request(place.blob(REPOSITORY, each.digest), each.size)] for each in others]
    pull(place.port, requests).require()
    served = statistics.median(_compare(origin, place, each) for each in blobs[1:])
    verify(place.port, place.blob(REPOSITORY, blobs[0].digest), blobs[0].digest, blobs[0].size)
    return {"served": served, "fresh": fresh}


def _compare(origin: Place, place: Place, blob: Blob) -> float:
    """Return how many milliseconds later than from the origin the first byte comes."""
    firsts = [
        pull(each.port, [[Request(each.blob(REPOSITORY, blob.digest), blob.size)]]).require().firsts
        for each in (origin, place)
    ]
    await_calm(place.session)
    return (firsts[1][0] - firsts[0][0]) * 1e3


FIRST_BYTE = Case(
    "first-byte",
    "first byte of a cold 32 MiB blob",
    _prepare,
    (Bar("served", "<=", 5.0), Bar("fresh", "<=", 10.0)),
    picture="served",
    notes=(
        "Each blob is pulled directly and then through the cache; the difference counts.",
        "fresh is the first request after a start; served is the median of five, after 16 others.",
    ),
)
