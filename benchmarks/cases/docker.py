"""`docker pull` by a real engine: does it notice the mirror at all?"""

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from benchmarks.bench import MIB, OPTIONAL, Bench, Case, Measure
from benchmarks.content import make_runnable
from benchmarks.load import LoadFailed, Request, pull
from benchmarks.peers import Place
from benchmarks.results import Bar
from tests.clients.engines import run_containerd, run_dockerd
from tests.clients.programs import missing, place_of
from tests.harness.daemons import finish, isolate, temporary_folder

LAYERS = 20
SIZE = 4 * MIB  # bytes of a layer
REPOSITORY = "bench/twenty"


@contextmanager
def _prepare(bench: Bench) -> Iterator[Mapping[str, Measure]]:
    why = missing("docker", "dockerd", "containerd", "ctr", "runc", "ip", as_root=True)
    if why:
        raise LoadFailed(why)
    image = make_runnable(bench.make_folder("image"), REPOSITORY, LAYERS, bench.size(SIZE))

    def prime(place: Place) -> None:
        requests = [Request(place.manifest(REPOSITORY, image.tag), len(image.manifest))]
        requests += [Request(place.blob(REPOSITORY, one.digest), one.size) for one in image.blobs]
        pull(place.port, [requests]).require()

    with ExitStack() as stack:
        origin = stack.enter_context(bench.origin(image))
        places = bench.all_running(stack, f"127.0.0.1:{origin.port}", prime)
        # The engine's sockets need short paths, so its folder is not in ours.
        folder = stack.enter_context(temporary_folder())
        containerd = stack.enter_context(run_containerd(folder / "c"))
        # Pulled by each one's own address; Docker trusts plain HTTP on the loopback.
        mirror = f"http://127.0.0.1:{origin.port}"
        socket = stack.enter_context(run_dockerd(folder / "d", containerd, mirror))
        environment = isolate(folder) | {"DOCKER_HOST": f"unix://{socket}"}
        measures = {
            name: _measurer(place, environment, image.blobs[0].digest)
            for name, place in ({"direct": origin} | places).items()
        }
        measures["direct"]()  # an engine's first pull makes what later ones find
        yield measures


def _measurer(place: Place, environment: dict[str, str], config: str) -> Measure:
    registry = f"127.0.0.1:{place.port}{place.prefix.removeprefix('/v2')}"
    name = f"{registry}{REPOSITORY}:1"

    def docker(*arguments: str) -> str:
        return finish([place_of("docker"), *arguments], environment)

    def measure() -> dict[str, float]:
        began = time.monotonic()
        docker("pull", "--quiet", name)
        wall = time.monotonic() - began
        found = docker("image", "inspect", "--format", "{{.Id}}", name).strip()
        docker("rmi", "--force", name)
        docker("system", "prune", "--all", "--force")
        if found != config:
            raise LoadFailed(f"docker has {found} where {config} was pulled")
        return {"wall": wall}

    return measure


DOCKER = Case(
    "docker",
    "docker pull of a 20-layer image (80 MiB), warm mirror",
    _prepare,
    (Bar("wall", "<=", 1.1, ("direct",)),),
    picture="wall",
    notes=("direct means straight from the upstream, a docker-registry on loopback.",),
    without=OPTIONAL,
)
