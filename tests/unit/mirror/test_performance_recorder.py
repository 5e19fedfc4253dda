"""Laws of keeping measurements: processes share them, and a catalog that refuses costs nothing."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import httpx
import pytest

from registry.catalog.database import Database
from registry.catalog.endpoints import EndpointCatalog
from registry.errors import EntrepotError, NameUnknown, StoreError, UpstreamUnreachable
from registry.metrics.process_metrics import Metrics
from registry.mirror import performance_recorder
from registry.mirror.performance_recorder import PerformanceRecorder
from registry.upstream.auth import Login
from registry.upstream.endpoint import Endpoint
from registry.upstream.failover import EndpointPool
from registry.upstream.request import Request
from registry.upstream.statuses import Resource
from registry.upstream.tokens import TokenCache

URL = "https://hub.example/mirror"
MIB = 1024 * 1024


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with Database(tmp_path / "catalog.sqlite") as opened:
        yield opened


def make_endpoint(url: str = URL) -> Endpoint:
    client = httpx.AsyncClient()
    login = Login(url, None, TokenCache(client, lambda: 0.0))
    return Endpoint(url, client, login, lambda: 0.0, lambda limit: None)


def make_pool(endpoint: Endpoint) -> EndpointPool:
    """Return a pool of an endpoint, and of another one of which nothing is known."""
    return EndpointPool(
        "docker.io", [endpoint, make_endpoint("https://other.example")], float, random.Random(1)
    )


def watch(
    database: Database, metrics: Metrics | None = None
) -> tuple[PerformanceRecorder, Endpoint]:
    """Make the recorder of one more process, with its endpoint."""
    recorder, endpoint = (
        PerformanceRecorder(EndpointCatalog(database), metrics or Metrics()),
        make_endpoint(),
    )
    recorder.watch("docker.io", [endpoint])
    return recorder, endpoint


async def test_processes_learn_from_each_other(database: Database) -> None:
    first, own = watch(database)
    second, others = watch(database)
    own.measured.note_first_byte(0.25)
    own.measured.note_rate(MIB, 0.5)
    await first.exchange()
    await second.exchange()

    assert others.measured.performance == own.measured.performance
    assert others.measured.estimate(MIB) == pytest.approx(0.75)


async def test_a_suspect_of_one_process_is_one_of_all(database: Database) -> None:
    """Also after a restart; it is asked last, whatever else is known of it."""
    first, own = watch(database)
    second, others = watch(database)
    assert not make_pool(others).suspects.is_suspect(others)
    make_pool(own).suspects.mark([own.origin])
    await first.exchange()
    await second.exchange()

    assert make_pool(others).suspects.is_suspect(others)
    assert make_pool(others).candidates()[-1] is others
    restarted = watch(database)[1]
    assert make_pool(restarted).suspects.is_suspect(restarted)


async def test_each_measurement_counts_once(database: Database) -> None:
    first, own = watch(database)
    second, others = watch(database)
    for _ in range(3):
        own.measured.note_right(1)
        others.measured.note_right(10)
        await first.exchange()
        await second.exchange()
    await first.exchange()

    assert own.measured.performance.right == others.measured.performance.right == 33


async def test_a_restart_keeps_it(database: Database) -> None:
    first, own = watch(database)
    own.measured.note_rate(MIB, 1.0)
    await first.exchange()

    assert watch(database)[1].measured.performance == own.measured.performance


async def test_nothing_new_writes_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder, _ = watch(database)
    monkeypatch.setattr(EndpointCatalog, "change", None)

    await recorder.exchange()


async def test_who_has_nothing_to_do_reads_rarely(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was measured here is exchanged at the next time; else every fourth time is enough."""
    recorder, own = watch(database)
    turns, read_at = [0], []

    async def sleep(_: float) -> None:
        turns[0] += 1
        if turns[0] == 6:
            own.measured.note_right(7)
        if turns[0] > 12:
            raise asyncio.CancelledError

    monkeypatch.setattr(performance_recorder.asyncio, "sleep", sleep)
    monkeypatch.setattr(recorder, "_read", lambda: read_at.append(turns[0]))
    with pytest.raises(asyncio.CancelledError):
        await recorder.keep_exchanging()

    assert read_at == [4, 6, 10]


async def test_a_refused_write_loses_nothing_here(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder, own = watch(database)
    own.measured.note_right(7)

    async def refuse(*_: object) -> None:
        raise StoreError("catalog", "the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(EndpointCatalog, "change", refuse)
        await recorder.exchange()
    assert own.measured.performance.right == 7
    await recorder.exchange()

    assert own.measured.performance.right == watch(database)[1].measured.performance.right == 7


async def test_a_catalog_that_cannot_be_read_costs_only_what_others_know(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise StoreError("catalog", "damaged")

    monkeypatch.setattr(EndpointCatalog, "read", refuse)
    recorder, own = watch(database)
    own.measured.note_right(7)
    await recorder.exchange()

    assert own.measured.performance.right == 7


async def test_metrics_count_each_endpoint(database: Database) -> None:
    metrics = Metrics()
    recorder, own = watch(database, metrics)
    own.measured.received += 100
    own.measured.note_outcome(is_failure=True)
    own.measured.note_outcome(is_failure=False)
    for _ in range(2):
        await recorder.exchange()

    read: Callable[..., float | None] = metrics.registry.get_sample_value
    label = {"endpoint": "https://hub.example"}
    assert read("entrepot_endpoint_bytes_total", label) == 100
    assert read("entrepot_endpoint_failures_total", label) == 1


async def test_metrics_say_how_requests_end(database: Database) -> None:
    """Each request is counted once; three in a row without an answer say that it is down."""
    metrics = Metrics()
    recorder, own = watch(database, metrics)
    read: Callable[..., float | None] = metrics.registry.get_sample_value
    label = {"upstream": "docker.io", "endpoint": "https://hub.example"}
    request = Request("GET", "r/manifests/1", "r", partial(NameUnknown, "r"), Resource.MANIFEST)
    up, asked = [], []
    for error in (None, None, *[UpstreamUnreachable("hub", "no")] * 3, NameUnknown("r")):
        with suppress(EntrepotError), own.measured.watch(request):
            own.measured.waits.append(0.5)
            if error is not None:
                raise error
        await recorder.exchange()
        up.append(read("entrepot_upstream_up", label))
        how = {"method": "GET", "outcome": "unreachable"}
        asked.append(read("entrepot_upstream_requests_total", label | how) or 0)
    own.measured.counted += 2
    await recorder.exchange()

    assert up == [1, 1, 1, 1, 0, 1]
    assert asked == [0, 0, 1, 2, 3, 3]
    assert read("entrepot_upstream_seconds_count", label) == 6
    assert read("entrepot_upstream_last_success_timestamp_seconds", label) > 1e9
    assert read("entrepot_counted_pulls_total", label) == 0, "it comes with the next request"
