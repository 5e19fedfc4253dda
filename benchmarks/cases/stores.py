"""A mirror that has gathered for years: how soon does it answer, and is it any slower?"""

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks.bench import Bench, Case, Measure
from benchmarks.load import Request, pull
from benchmarks.peers import Peer
from benchmarks.processes import answers, await_calm
from benchmarks.results import US, Bar
from benchmarks.store import Store, fill_store
from registry.catalog.database import Database
from registry.catalog.usage import UsageCatalog
from registry.content.eviction import plan_eviction
from tests.harness.mirror import MirrorProcess

BLOBS, MANIFESTS = 200_000, 50_000
SMALL = 500  # manifests of the store that stands for an empty one: each is asked for once
AGAIN = 4000  # times that one of them is asked for then
EMPTY = "entrepot, empty store"
UPSTREAM = "http://127.0.0.1:9"  # nobody is asked: everything is known
LIMIT = "2TiB"  # more than a million blobs of 1 MiB seem to take


@contextmanager
def _prepare_start(bench: Bench) -> Iterator[Mapping[str, Measure]]:
    full = make_mirror(bench)
    fill_store(full.data, bench.count(BLOBS, least=1000), bench.count(MANIFESTS, least=1000))
    empty = make_mirror(bench)
    with bench.origin() as origin:  # some peers do not start without their upstream
        measures: dict[str, Measure] = {
            name: _time_start(bench, peer, f"127.0.0.1:{origin.port}")
            for name, peer in bench.present.items()
            if name != US
        }
        yield measures | {EMPTY: lambda: measure_start(empty), US: lambda: measure_start(full)}


def _time_start(bench: Bench, peer: Peer, upstream: str) -> Measure:
    def measure() -> dict[str, float]:
        folder = bench.make_folder(peer.name)
        began = time.monotonic()
        place = peer.start(folder, upstream)
        ready = time.monotonic() - began
        place.stop()
        return {"ready": ready}

    return measure


def make_mirror(bench: Bench) -> MirrorProcess:
    """Make a mirror with default settings, not started.

    But for the audit, which would find that the store's blobs are not what their names say, and the
    limit, within which what they seem to take would have to go.
    """
    upstreams = {"docker.io": UPSTREAM}
    settings = {"storage": {"audit_rate": 0, "limit": LIMIT}}
    return MirrorProcess(bench.make_folder("store"), upstreams, settings, workers=0)


def measure_start(mirror: MirrorProcess) -> dict[str, float]:
    """Start a mirror until `/v2/` is answered, and stop it."""
    began = time.monotonic()
    mirror.start_anew()
    port = int(mirror.url.rpartition(":")[2])
    while not answers(port, "/v2/"):
        time.sleep(0.002)
    ready = time.monotonic() - began
    mirror.stop()
    return {"ready": ready}


@contextmanager
def _prepare_lookup(bench: Bench) -> Iterator[Mapping[str, Measure]]:
    manifests = bench.count(MANIFESTS, least=4 * SMALL)
    small, few = fill_mirror(bench, 4 * SMALL, SMALL)
    large, many = fill_mirror(bench, 4 * manifests, manifests)
    yield {
        EMPTY: lambda: _measure_started(small, few.sample(SMALL)),
        US: lambda: _measure_started(large, many.sample(SMALL)),
    }


def fill_mirror(bench: Bench, blobs: int, manifests: int) -> tuple[MirrorProcess, Store]:
    """Make a mirror that has so much in its store, not started."""
    mirror = make_mirror(bench)
    return mirror, fill_store(mirror.data, blobs, manifests)


def _measure_started(mirror: MirrorProcess, paths: list[str]) -> dict[str, float]:
    with mirror.start_anew():
        await_calm(mirror.pid)
        lookups = measure_lookups(mirror, paths)
    return lookups | {"plan": asyncio.run(_measure_plan(mirror.data))}


async def _measure_plan(data: Path) -> float:
    """Plan what would make room for a gibibyte, and delete nothing; in seconds."""
    async with Database(data / "catalog.db") as database:
        began = time.monotonic()
        plan_eviction(await UsageCatalog(database).list_coldest(1 << 30), 1 << 30)
        return time.monotonic() - began


def measure_lookups(mirror: MirrorProcess, paths: list[str]) -> dict[str, float]:
    """Ask for manifests one by one: first where no memory can have them, then where it has.

    The mirror has to be freshly started.
    """
    port = int(mirror.url.rpartition(":")[2])
    first = pull(port, [[Request(path) for path in paths]]).require()
    again = pull(port, [[Request(paths[0])] * AGAIN]).require()
    return {
        "latency": sorted(again.times)[len(again.times) // 2] * 1e3,
        "lookup": sorted(first.times)[len(first.times) // 2] * 1e3,
    }


START = Case(
    "start",
    "start with 200,000 blobs and 50,000 manifests known",
    _prepare_start,
    (Bar("ready", "<=", 0.8),),
    picture="ready",
    notes=("The peers start with an empty store.",),
)
LOOKUP = Case(
    "lookup",
    "the same store: manifest hit against an almost empty store, and the eviction plan",
    _prepare_lookup,
    (
        Bar("lookup", "<=", 1.3, (EMPTY,)),
        Bar("latency", "<=", 1.3, (EMPTY,)),
        Bar("plan", "<=", 1.0),
    ),
    picture="lookup",
    notes=(
        f"The almost empty store has {SMALL} manifests, so that each is asked for only once.",
        "A lookup is a hit on a manifest not in memory yet; the median is of hits in memory.",
    ),
)
