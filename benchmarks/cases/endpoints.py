"""One upstream with several endpoints: all are used, and what one of them does wrong costs little.

No peer takes one blob from several endpoints, so that only Entrepôt is measured here.
"""

import asyncio
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import cycle

from benchmarks.bench import MIB, Bench, Case, Measure
from benchmarks.load import LoadFailed
from benchmarks.results import US, Bar
from tests.fakes.upstream import Cut, FakeUpstream, Stall, Status
from tests.fakes.upstream.faults import Action
from tests.harness.large_layer import LargeLayer, publish
from tests.harness.mirror import MirrorProcess
from tests.harness.ranked_endpoints import exchange_rates
from tests.harness.several_endpoints import (
    SUM,
    list_table,
    open_endpoints,
    pull,
    pull_during_outage,
    pull_from_liar,
    seconds_of,
)

SIZE = 256 * MIB
ROUNDS = 3
LISTED = 5.0  # seconds until `upstreams ls` knows what a worker has learned
FEW, MANY = 6, 20  # one request of so many is answered with wrong bytes, by the size of the blob
NOTE = "Each round has new endpoints and a new mirror with default settings."
Take = Callable[[MirrorProcess, Sequence[FakeUpstream], LargeLayer], dict[str, float]]


@contextmanager
def start_with(bench: Bench, hubs: Sequence[FakeUpstream]) -> Iterator[MirrorProcess]:
    """Start a mirror with these endpoints of one upstream."""
    mirror = MirrorProcess(bench.make_folder("mirror"), list_table(hubs), workers=0)
    with mirror.start_anew():
        yield mirror


@contextmanager
def _prepare(
    bench: Bench, take: Take, orders: Sequence[Sequence[int]] = ((0, 1, 2),)
) -> Iterator[Mapping[str, Measure]]:
    """Have a blob taken from three endpoints; their order in the settings changes by round."""
    size, folder, turns = bench.size(SIZE, 16 * MIB), bench.make_folder("expected"), cycle(orders)

    def measure() -> dict[str, float]:
        with open_endpoints() as hubs:
            layer = publish(folder, size, *hubs)
            ordered = [hubs[number] for number in next(turns)]
            with start_with(bench, ordered) as mirror:
                return take(mirror, hubs, layer)

    yield {US: measure}


def take_pull(mirror: MirrorProcess, layer: LargeLayer) -> dict[str, float]:
    """Pull a layer, and return seconds, MiB/s, and the bytes of the upstream for each of its own.

    Raises:
        LoadFailed: the client has other bytes than the layer.
    """
    seen = pull(mirror, layer)
    if not seen.is_right:
        raise LoadFailed(f"the client has not the right bytes: {seen}")
    wall = seconds_of(seen)
    return {
        "wall": wall,
        "throughput": layer.size / MIB / wall,
        "upstream": layer.sent() / layer.size,
    }


def _take_all(
    mirror: MirrorProcess, _: Sequence[FakeUpstream], layer: LargeLayer
) -> dict[str, float]:
    figures = take_pull(mirror, layer)
    return figures | {"share": layer.size / figures["wall"] / SUM}


def _take_during(
    mirror: MirrorProcess, hubs: Sequence[FakeUpstream], layer: LargeLayer, action: Action
) -> dict[str, float]:
    found = pull_during_outage(mirror, hubs, layer, action)
    if not found.seen.is_right:
        raise LoadFailed(f"the client has not the right bytes: {found.seen}")
    return {"wall": seconds_of(found.seen), "part": found.part, "upstream": found.excess}


@contextmanager
def _prepare_liar(bench: Bench) -> Iterator[Mapping[str, Measure]]:
    liars = cycle(range(3))
    take = partial(_take_lies, liars=liars)
    with _prepare(bench, take) as measures:
        yield measures


def _take_lies(
    mirror: MirrorProcess,
    hubs: Sequence[FakeUpstream],
    layer: LargeLayer,
    liars: Iterator[int],
) -> dict[str, float]:
    liar = hubs[next(liars)]
    found = pull_from_liar(mirror, liar, layer, every=MANY if layer.size >= SIZE else FEW)
    if not found.applied:
        raise LoadFailed("no wrong bytes were sent, so that nothing was tried")
    if not found.second.is_right:
        raise LoadFailed(f"the client's second pull is not right either: {found.second}")
    is_logged = [each["endpoint"] for each in found.repaired] == [liar.url]
    return {
        "retry": found.after,
        "upstream": found.excess,
        "wrong": float(found.first.received == layer.size and not found.first.is_right),
        "unnamed": float(not is_logged) + float(not _lists(mirror, liar.url)),
    }


def _lists(mirror: MirrorProcess, liar: str) -> bool:
    """Whether `upstreams ls` soon says that this endpoint alone has sent wrong bytes."""
    deadline = time.monotonic() + LISTED
    while True:
        known = json.loads(mirror.run("upstreams", "ls", "--json").stdout)
        found = [each["endpoint"] for each in known if each["wrong"]]
        if found == [liar] or time.monotonic() > deadline:
            return found == [liar]


@contextmanager
def _prepare_change(_: Bench) -> Iterator[Mapping[str, Measure]]:
    def measure() -> dict[str, float]:
        with FakeUpstream() as hub, FakeUpstream() as other:
            count, seconds = asyncio.run(exchange_rates(hub, other))
        return {"learned": seconds, "blobs": float(count)}

    yield {US: measure}


def _make_outage(name: str, does: str, action: Action, *, is_repeat: bool = True) -> Case:
    return Case(
        f"endpoints-{name}",
        f"256 MiB from these three endpoints; the fastest {does} half-way",
        partial(_prepare, take=partial(_take_during, action=action)),
        (Bar("part", "<=", 1.15), Bar("upstream", "<=", 1.02)),
        most_rounds=ROUNDS,
        picture="part",
        notes=("The time is that since the fastest endpoint has stopped.",),
        is_repeat=is_repeat,
    )


ENDPOINTS = Case(
    "endpoints",
    "256 MiB from three endpoints of 10, 6 and 2 MiB/s",
    partial(_prepare, take=_take_all, orders=((0, 1, 2), (2, 1, 0))),
    (Bar("share", ">=", 0.9), Bar("upstream", "<=", 1.02)),
    most_rounds=ROUNDS,
    picture="share",
    notes=(NOTE, "The order in the settings is the fastest first, and the slowest first, in turn."),
)
STALLS = _make_outage("stall", "stalls", Stall(0), is_repeat=False)
CUTS = _make_outage("cut", "cuts", Cut(0))
REFUSES = _make_outage("429", "answers 429", Status(429, headers={"Retry-After": "60"}))
LIES = Case(
    "endpoints-liar",
    "256 MiB from these three endpoints; one sends wrong bytes in one range of twenty",
    _prepare_liar,
    (
        Bar("wrong", "<=", 0.0),
        Bar("retry", "<=", 10.0),
        Bar("upstream", "<=", 1.25),
        Bar("unnamed", "<=", 0.0),
    ),
    most_rounds=ROUNDS,
    picture="retry",
    notes=(
        "The fastest, the second and the slowest endpoint lie in turn.",
        "The liar has to be named in the log and by `entrepot upstreams ls`.",
    ),
)
CHANGES = Case(
    "endpoints-change",
    "the best of two endpoints becomes the slow one",
    _prepare_change,
    (Bar("learned", "<=", 10.0),),
    most_rounds=ROUNDS,
    picture="learned",
    notes=("Two blobs, or ten seconds, are enough for the bar.",),
)
