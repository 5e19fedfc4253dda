"""Clients and warming on one link: `max_rate` for all processes, and clients before warming."""

import math
import signal
import time
import urllib.request
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream, Image
from tests.fakes.upstream.journal import Entry
from tests.harness.commands import ForkedProcess, start_command
from tests.harness.large_layer import KIB, MIB
from tests.harness.mirror import MirrorProcess
from tests.integration.images import make_layer
from tests.integration.wire import wait_until

LINK = 12 * MIB  # bytes a second
LARGE = 36 * MIB
AT_ONCE = 3  # layers that a client downloads at the same time, as Docker does


def time_pull(mirror: MirrorProcess, image: Image) -> float:
    """Pull an image as a client does, and return the seconds that it took."""
    base = f"{mirror.url}/v2/{image.repository}"

    def read(digest: str) -> int:
        with urllib.request.urlopen(f"{base}/blobs/{digest}", timeout=60) as answer:
            return sum(map(len, iter(lambda: answer.read(256 * KIB), b"")))

    began = time.monotonic()
    accept = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
    request = urllib.request.Request(f"{base}/manifests/{image.digest}", headers=accept)
    with urllib.request.urlopen(request, timeout=60) as answer:
        answer.read()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        sizes = list(pool.map(read, image.layers))
    assert all(sizes)
    return time.monotonic() - began


def count_sent(hub: FakeUpstream, digests: Collection[str] = ()) -> int:
    """Return how many bytes of blobs the upstream has sent, of all or of these."""
    sent = hub.journal.of("cdn")
    return sum(each.body_bytes for each in sent if not digests or each.digest in digests)


def count_overlapping(requests: Sequence[Entry], request: Entry) -> int:
    """Return how many requests for the same blob were answered when this one began."""
    return sum(
        each.digest == request.digest
        and each.started <= request.started < (each.finished or math.inf)
        for each in requests
    )


@contextmanager
def warming(mirror: MirrorProcess, names: Sequence[str]) -> Iterator[ForkedProcess]:
    """Run `images warm` during the body; then it is interrupted."""
    images = [f"{name}:1" for name in names]
    command = start_command("images", "warm", *images, "--config", str(mirror.config))
    try:
        yield command
    finally:
        command.send_signal(signal.SIGINT)
        command.wait()


def add_small(hub: FakeUpstream, count: int) -> list[str]:
    """Add images of 3 MiB; return their names."""
    names = [f"warmed/{number}" for number in range(count)]
    for number, name in enumerate(names):
        layers = [make_layer(1000 + 4 * number + each, MIB) for each in range(3)]
        hub.add_image(name, "1", layers)
    return names


def add_large(hub: FakeUpstream, name: str, seed: int) -> Image:
    """Add an image of `LARGE` bytes."""
    return hub.add_image(name, "1", [make_layer(seed + each, LARGE // 4) for each in range(4)])


@pytest.mark.programs
@pytest.mark.alone
def test_warming_hardly_delays_a_pull(
    make_mirror: MirrorMaker, hub: FakeUpstream, note: Callable[[str], None]
) -> None:
    """While 50 images are warmed, a client's pull of a cold image takes at most 1.2 times as long.

    The mirror does not know the rate of the link.
    """
    alone, beside = add_large(hub, "pulled/a", 10), add_large(hub, "pulled/b", 20)
    names = add_small(hub, 50)
    hub.rate = LINK
    mirror = make_mirror()
    lone = time_pull(mirror, alone)

    with warming(mirror, names) as command:
        wait_until(lambda: count_sent(hub) > LARGE + 12 * MIB, "the link is full")
        before = count_sent(hub)
        took = time_pull(mirror, beside)
        meanwhile = count_sent(hub) - before - LARGE
        assert command.poll() is None

    figure = f"alone {lone:.2f} s, beside warming {took:.2f} s ({took / lone:.2f} times)"
    note(f"{figure}; warming got {meanwhile / MIB:.1f} MiB")
    assert took <= 1.2 * lone


@pytest.mark.programs
@pytest.mark.alone
def test_all_processes_share_max_rate(
    make_mirror: MirrorMaker, hub: FakeUpstream, note: Callable[[str], None]
) -> None:
    """Workers and `images warm` together use `max_rate`; each download has one connection."""
    images = [add_large(hub, f"pulled/{number}", 40 * number) for number in range(2)]
    names = add_small(hub, 20)
    hub.rate = 1024 * MIB  # so that the kernel holds little that was not received
    table = {"endpoints": [hub.url], "max_rate": "8MiB", "connections": 4}
    mirror = make_mirror(upstreams={"docker.io": table})

    layers = {layer for image in images for layer in image.layers}
    with warming(mirror, names) as command, ThreadPoolExecutor(len(images)) as pool:
        wait_until(lambda: count_sent(hub) > 8 * MIB, "the command downloads")
        began, before = time.monotonic(), count_sent(hub)
        list(pool.map(lambda image: time_pull(mirror, image), images))
        elapsed, sent = time.monotonic() - began, count_sent(hub) - before
        own = count_sent(hub, layers)
        assert command.poll() is None

    requests = [entry for entry in hub.journal.of("cdn") if entry.digest in layers]
    note(f"{sent / elapsed / MIB:.2f} MiB/s of 8, of which clients {own / sent:.0%}")
    assert 0.8 * 8 * MIB < sent / elapsed < 1.1 * 8 * MIB
    assert own > 0.85 * sent
    assert all(count_overlapping(requests, each) == 1 for each in requests)
