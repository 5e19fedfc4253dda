"""The large blob again, straight from the file of a bundle."""

import asyncio
import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks.bench import Bench, Case, Measure
from benchmarks.cases.hot import REPOSITORY, prepare_one, prepare_sixteen
from benchmarks.load import Request, pull
from benchmarks.peers import Entrepot, Peer, Place
from benchmarks.results import US, Bar
from tests.harness.bundle_files import BundleProcess, plan, write_tar
from tests.harness.deadline import await_truth
from tests.harness.filled_folder import open_filled

RIVAL = "nginx"
IMAGE = f"docker.io/{REPOSITORY}:1"


class BundleServer(Peer):
    """`entrepot bundle serve` with a bundle of what the upstream has."""

    name = US

    def explain_absence(self) -> str:
        """It is always here."""
        return ""

    def read_version(self) -> str:
        """Name the commit."""
        return Entrepot().read_version()

    def start(self, folder: Path, upstream: str) -> Place:
        """Pull the image, write the bundle, and serve it."""
        source = Entrepot().start(folder / "source", upstream)
        try:
            _pull_all(source)
            # Whoever pulls has the last byte before the disk has all of them.
            await_truth(lambda: not any((folder / "source" / "data" / "spool").iterdir()))
        finally:
            source.stop()
        path = folder / "image.tar"
        asyncio.run(_pack(folder / "source" / "data", path))
        (folder / "served").mkdir()
        served = BundleProcess(folder / "served", [path], workers=0).start_anew()
        return Place(self.name, int(served.url.rpartition(":")[2]), served.pid, served.stop)


def _pull_all(place: Place) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", place.port)
    connection.request("GET", place.manifest(REPOSITORY, "1"))
    manifest = json.loads(connection.getresponse().read())
    connection.close()
    blobs = [manifest["config"], *manifest["layers"]]
    requests = [Request(place.blob(REPOSITORY, each["digest"]), each["size"]) for each in blobs]
    pull(place.port, [requests]).require()


async def _pack(data: Path, path: Path) -> None:
    async with open_filled(data) as filled:
        await write_tar(filled, await plan(filled, [IMAGE]), path)


def _serve(bench: Bench) -> Bench:
    """Have the bundle's server take our place, beside the one that its bars name."""
    rival = {name: each for name, each in bench.present.items() if name == RIVAL}
    return replace(bench, present=rival | {US: BundleServer()})


@contextmanager
def _prepare_one(bench: Bench) -> Iterator[Mapping[str, Measure]]:
    with prepare_one(_serve(bench)) as measures:
        yield measures


@contextmanager
def _prepare_sixteen(bench: Bench) -> Iterator[Mapping[str, Measure]]:
    with prepare_sixteen(_serve(bench)) as measures:
        yield measures


BUNDLE = Case(
    "bundle",
    "hot 1 GiB blob from a bundle, one client",
    _prepare_one,
    (Bar("wall", "<=", 1.15, (RIVAL,)), Bar("cpu", "<=", 1.0, (RIVAL,))),
)
BUNDLE_16 = Case(
    "bundle-16",
    "hot 1 GiB blob from a bundle, 16 clients",
    _prepare_sixteen,
    (Bar("throughput", ">=", 0.95, (RIVAL,)),),
    most_rounds=3,
)
