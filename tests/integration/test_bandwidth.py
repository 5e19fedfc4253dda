"""Clients and warming on one link: `max_rate` for all processes, and clients before warming."""

import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream
from tests.fakes.upstream.journal import Entry
from tests.harness.deadline import await_truth
from tests.harness.large_layer import MIB
from tests.harness.shared_link import (
    add_large,
    add_small,
    count_sent,
    pull_beside_warming,
    time_pull,
    warming,
)


def count_overlapping(requests: Sequence[Entry], request: Entry) -> int:
    """Return how many requests for the same blob were answered when this one began."""
    return sum(
        each.digest == request.digest
        and each.started <= request.started < (each.finished or math.inf)
        for each in requests
    )


@pytest.mark.programs
@pytest.mark.alone
def test_warming_hardly_delays_a_pull(
    make_mirror: MirrorMaker, hub: FakeUpstream, note: Callable[[str], None]
) -> None:
    """While 50 images are warmed, a client's pull of a cold image takes at most 1.2 times as long.

    The mirror does not know the rate of the link.
    """
    found = pull_beside_warming(make_mirror(), hub)

    times = found.beside / found.alone
    figure = f"alone {found.alone:.2f} s, beside warming {found.beside:.2f} s ({times:.2f} times)"
    note(f"{figure}; warming got {found.warmed / MIB:.1f} MiB")
    assert found.beside <= 1.2 * found.alone


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
        await_truth(lambda: count_sent(hub) > 8 * MIB)
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
