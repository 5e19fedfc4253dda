"""The same blobs from an upstream that speaks TLS, as every registry on the internet does."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from shutil import which

from benchmarks.bench import MIB, Bench, Case, Measure
from benchmarks.built_peers import Distribution
from benchmarks.cases.cold import LARGE, MEDIUM, REPOSITORY, SMALL, measure_cold
from benchmarks.content import make_blob, make_image
from benchmarks.load import LoadFailed
from benchmarks.peers import DockerRegistry, Entrepot
from benchmarks.results import Bar
from tests.fakes.certificates import make_authority

RIVAL = "distribution-3"


@contextmanager
def _prepare(bench: Bench, size: int) -> Iterator[Mapping[str, Measure]]:
    if which("openssl") is None:
        raise LoadFailed("the openssl command is not installed")
    authority = make_authority(bench.make_folder("authority"))
    root = authority.root
    blob = make_blob(bench.size(size), seed=1)
    image = make_image(bench.make_folder("image"), REPOSITORY, [blob])
    everyone = (DockerRegistry(root), Distribution(root), Entrepot(root=root))
    with bench.origin(image, authority=authority) as origin:
        yield {
            peer.name: measure_cold(bench, peer, origin, blob)
            for peer in everyone
            if peer.name in bench.present
        }


def _make_case(name: str, size: int) -> Case:
    return Case(
        name,
        f"cold {size // MIB} MiB behind TLS, unthrottled upstream",
        partial(_prepare, size=size),
        (Bar("cpu", "<=", 1.1, (RIVAL,)),),
        picture="cpu",
        without=("nginx", "nora", "angos", "drayage"),
        is_repeat=size != LARGE,
    )


TLS = _make_case("cold-tls", LARGE)
TLS_192 = _make_case("cold-tls-192", MEDIUM)
TLS_96 = _make_case("cold-tls-96", SMALL)
