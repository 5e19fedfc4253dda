"""A large layer at three endpoints of 10, 6 and 2 MiB/s, and what a pull of it shows.

Each function pulls once or twice and returns figures; it is the caller who has limits for them.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import httpx

from tests.fakes.upstream import Cut, FakeUpstream, Fault, Invert, Status
from tests.fakes.upstream.faults import Action
from tests.harness.deadline import await_truth
from tests.harness.large_layer import MIB, LargeLayer
from tests.harness.many_clients import ManyClients, Pull
from tests.harness.mirror import MirrorProcess

RATES = (10 * MIB, 6 * MIB, 2 * MIB)  # bytes per second over all connections of each endpoint
SUM = sum(RATES)
OTHERS = sum(RATES[1:])


@contextmanager
def open_endpoints() -> Iterator[list[FakeUpstream]]:
    """Open three upstreams with these rates; the fastest is the first."""
    with ExitStack() as stack:
        made = [stack.enter_context(FakeUpstream()) for _ in RATES]
        for hub, rate in zip(made, RATES, strict=True):
            hub.rate = rate
        yield made


def list_table(hubs: Sequence[FakeUpstream]) -> dict[str, Any]:
    """Return the upstreams of the settings: Docker Hub with these endpoints."""
    return {"docker.io": {"endpoints": [hub.url for hub in hubs]}}


def pull(mirror: MirrorProcess, layer: LargeLayer) -> Pull:
    """Pull the manifest and then the layer, as one client."""
    with ManyClients(layer.pull_manifest(mirror), layer.expected) as clients:
        (seen,) = clients.join()
    return seen


def seconds_of(seen: Pull) -> float:
    """Return how long a pull took."""
    return seen.last_byte - seen.started


@dataclass(frozen=True)
class Outage:
    """A pull during which the fastest endpoint stopped half-way.

    `part` is the time since then, as a multiple of what the others need for the bytes that were
    missing. `excess` is how often each byte was sent by the endpoints, on average.
    """

    seen: Pull
    part: float
    excess: float


def pull_during_outage(
    mirror: MirrorProcess, hubs: Sequence[FakeUpstream], layer: LargeLayer, action: Action
) -> Outage:
    """Pull; at half of the bytes, let the fastest endpoint do `action` with each request.

    Its running answers stop too: they are cut by `Cut`, hang with `Stall`, and go on with `Status`.
    """
    with ManyClients(layer.pull_manifest(mirror), layer.expected) as clients:
        await_truth(lambda: layer.sent() >= layer.size // 2)
        hubs[0].faults.add(Fault("any", action, times=None))
        began, left = time.monotonic(), layer.size - layer.sent()
        if not isinstance(action, Status):
            hubs[0].stop("cdn") if isinstance(action, Cut) else hubs[0].hang()
        (seen,) = clients.join()
    part = (seen.last_byte - began) / (left / OTHERS)
    return Outage(seen, part, layer.sent() / layer.size)


@dataclass(frozen=True)
class Lies:
    """Two pulls, one after the other, while an endpoint sends wrong bytes.

    `after` is how many seconds after the first pull the second had its last byte. The events of the
    log that name who has lied are in `repaired`.
    """

    first: Pull
    second: Pull
    after: float
    excess: float
    applied: int
    repaired: list[dict[str, Any]]


def pull_from_liar(
    mirror: MirrorProcess, liar: FakeUpstream, layer: LargeLayer, every: int
) -> Lies:
    """Pull twice; one request of `every` to `liar` is answered with wrong bytes."""
    fault = liar.faults.add(Fault("cdn", Invert(), times=None, skip=1, every=every))
    first = pull(mirror, layer)
    began = time.monotonic()
    second = pull(mirror, layer)
    return Lies(
        first,
        second,
        second.last_byte - began,
        layer.sent() / layer.size,
        fault.applied,
        mirror.events("wrong bytes replaced"),
    )


def make_far(hub: FakeUpstream) -> None:
    """Let an upstream answer after 200 ms with 1 MiB/s a connection, and cut about every 4 MiB."""
    hub.auth, hub.delay, hub.connection_rate, hub.cut_about_every = "none", 0.2, MIB, 4 * MIB


def read_directly(hub: FakeUpstream, layer: LargeLayer, size: int) -> float:
    """Read `size` bytes over one connection that goes on after cuts; return the bytes a second."""
    url = f"{hub.url}/v2/{layer.repository}/blobs/{layer.digest}"
    received, began = 0, time.monotonic()
    with httpx.Client(follow_redirects=True, timeout=30) as client:
        while received < size:
            headers = {"Range": f"bytes={received}-{size - 1}"}
            with (
                suppress(httpx.RemoteProtocolError, httpx.ReadError),
                client.stream("GET", url, headers=headers) as answer,
            ):
                for piece in answer.iter_raw():
                    received += len(piece)
    return received / (time.monotonic() - began)
