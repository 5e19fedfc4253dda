"""Endpoints that are ranked by what they deliver: over real connections, workers and restarts."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import aclosing, closing

import pytest

from registry.oci.names import Tag
from registry.upstream.ranking import EXPLORING
from tests.conftest import MirrorMaker
from tests.fakes.upstream import Delay, FakeUpstream, Fault, Hang
from tests.harness.mirror import MirrorProcess
from tests.harness.process_parts import open_source
from tests.harness.ranked_endpoints import MIB, NAME, SIZE, Blobs, exchange_rates, first
from tests.integration.wire import fetch, wait_until


@pytest.fixture
def other() -> Iterator[FakeUpstream]:
    """The endpoint that is written second."""
    with FakeUpstream() as upstream:
        yield upstream


async def test_the_best_endpoint_changes(hub: FakeUpstream, other: FakeUpstream) -> None:
    """The first one was fast; when it is slow, the other one, which was slow, is found in 10 s."""
    _, seconds = await exchange_rates(hub, other)

    assert seconds < 10.0


async def test_written_order_stays(hub: FakeUpstream, other: FakeUpstream) -> None:
    blobs = Blobs(hub, other)
    hub.rate = 40 * MIB
    async with open_source(hub.url, other.url, order="written") as source:
        for _ in range(EXPLORING + 1):
            assert await blobs.read(source, MIB) == "0"
        assert first(source) == hub.url
    assert len(other.journal) == 0, other.journal


@pytest.mark.parametrize("trouble", [Hang(), Delay(30.0)], ids=["hangs", "is late"])
async def test_a_client_waits_little_for_an_endpoint_that_is_explored(
    hub: FakeUpstream, other: FakeUpstream, trouble: Hang | Delay
) -> None:
    """After two seconds the best endpoint goes on, and the other one is not tried again soon."""
    blobs = Blobs(hub, other)
    other.faults.add(Fault("any", trouble, times=None))
    async with open_source(hub.url, other.url) as source:
        for _ in range(EXPLORING - 1):
            await blobs.read(source, MIB)
        began = time.monotonic()
        assert await blobs.read(source, MIB) == "0"
        assert time.monotonic() < began + 6.0
        asked = len(other.journal)
        assert asked > 0
        for _ in range(EXPLORING):
            await blobs.read(source, MIB)
    assert len(other.journal) == asked


async def test_small_questions_explore_nothing(hub: FakeUpstream, other: FakeUpstream) -> None:
    blobs = Blobs(hub, other)
    digest = blobs.add()
    async with open_source(hub.url, other.url) as source:
        for _ in range(3 * EXPLORING):
            await source.get_manifest(NAME, Tag("1"))
            await source.head_blob(NAME, digest)
    assert len(other.journal) == 0, other.journal


async def test_the_first_byte_is_measured_without_connection_and_token(hub: FakeUpstream) -> None:
    blobs = Blobs(hub)
    blobs.add()
    hub.faults.add(Fault("token", Delay(1.0), times=None))
    hub.faults.add(Fault("manifest", Delay(0.2), times=None))
    async with open_source(hub.url) as source:
        await source.get_manifest(NAME, Tag("1"))
        (endpoint,) = source._pool.candidates()

        assert endpoint.measured.performance.first_byte is not None
        assert 0.05 < endpoint.measured.performance.first_byte < 0.9


def read_rows(mirror: MirrorProcess) -> dict[str, tuple[float, ...]]:
    """Return what the catalog has of each endpoint: rate, right bytes, and when it was measured."""
    with closing(sqlite3.connect(mirror.data / "catalog.db")) as rows:
        found = rows.execute("SELECT url, rate, right, rated FROM endpoints").fetchall()
    return {url: (rate or 0.0, right, rated) for url, rate, right, rated in found}


def count_rates(mirror: MirrorProcess) -> int:
    return sum(rate > 0 for rate, _, _ in read_rows(mirror).values())


def pull_all(mirror: MirrorProcess, blobs: Blobs, count: int) -> None:
    """Pull images of one blob, each over connections of its own."""
    base = f"{mirror.url}/v2/{NAME}"
    for _ in range(count):
        digest = blobs.add()
        fetch(f"{base}/manifests/{blobs.tag}")
        answer = fetch(f"{base}/blobs/{digest}")
        assert (answer.status, len(answer.body)) == (200, SIZE)


def test_workers_share_what_they_learn_and_a_restart_keeps_it(
    make_mirror: MirrorMaker, hub: FakeUpstream, other: FakeUpstream
) -> None:
    """After a restart, the first blob already goes to the endpoint that was better before."""
    blobs = Blobs(hub, other)
    hub.rate = 16 * MIB
    table = {"endpoints": [hub.url, other.url], "connections": 1}
    mirror = make_mirror(upstreams={"docker.io": table}, workers=2)
    pull_all(mirror, blobs, 2 * EXPLORING)  # one of the workers has explored
    # Both send ranges of each blob, but these are too short to measure a rate.
    wait_until(lambda: count_rates(mirror) == 2, "the measurements are in the catalog")
    rows = read_rows(mirror)
    assert rows[other.url][0] > 2 * rows[hub.url][0]
    assert rows[hub.url][1] > SIZE

    mirror.stop()
    mirror.start()
    hub.journal.clear()
    pull_all(mirror, blobs, 4)

    assert hub.journal.count("blob", "GET") == 0, hub.journal


def test_a_command_that_downloads_adds_what_it_measures(
    make_mirror: MirrorMaker, hub: FakeUpstream
) -> None:
    """A process that ends within two seconds does so too."""
    blobs = Blobs(hub)
    blobs.add()
    mirror = make_mirror(workers=1)
    mirror.stop()

    warmed = mirror.run("images", "warm", f"docker.io/{NAME}:{blobs.tag}")

    assert warmed.returncode == 0, warmed.stderr
    assert read_rows(mirror)[hub.url][1] >= SIZE


async def test_an_endpoint_that_lies_is_counted(hub: FakeUpstream) -> None:
    """The bytes of a blob are right or wrong only when the digest was compared."""
    blobs = Blobs(hub)
    async with open_source(hub.url) as source:
        (endpoint,) = source._pool.candidates()
        for is_right in (True, False):
            download = source.open_blob(NAME, blobs.add(), SIZE)
            async with aclosing(download.stream(0, SIZE)) as chunks:
                assert sum([len(chunk) async for chunk in chunks]) == SIZE
            if is_right:
                download.mark_right()
                assert endpoint.measured.performance.right == SIZE
            else:
                assert download.mark_suspect() == (hub.url,)

        known = endpoint.measured.performance
        assert (known.right, known.wrong) == (0, 1)
