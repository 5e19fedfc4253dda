"""How long a scrape takes, also after workers have died: a measurement, which runs alone."""

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import product
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from registry.metrics.collection import ServerMetrics, collect
from registry.metrics.process_metrics import Metrics

UPSTREAMS = tuple(f"registry-{number}.example" for number in range(8))
ENDPOINTS = tuple(f"https://mirror-{number}.example" for number in range(3))
KINDS = ("manifests", "blobs", "tags", "referrers", "base", "catalog", "token", "other")
ORIGINS = ("hit", "miss", "joined", "revalidated", "stale")
STORED, REFUSED = ("200", "206", "304", "499"), ("401", "404", "429", "502", "503")
LIVING, DEAD = 9, 8  # eight workers and the background process, and eight workers before these
MOST = 0.020  # seconds


def count_all(metrics: Metrics) -> None:
    """Count with all labels that a busy mirror of eight registries has."""
    for upstream in UPSTREAMS:
        metrics.begin_upstream(upstream)
        metrics.finished_downloads.labels(upstream, "complete").inc()
    for each in product(UPSTREAMS[:4], ENDPOINTS):
        metrics.upstreams.seconds.labels(*each).observe(0.1)
        metrics.upstreams.up.labels(*each).set(1)
        metrics.upstreams.last_success.labels(*each).set(1)
        for how in product(("GET", "HEAD"), ("ok", "absent", "throttled", "unreachable")):
            metrics.upstreams.requests.labels(*each, *how).inc()
    for kind in KINDS:
        metrics.request_seconds.labels(kind).observe(0.1)
    for kind, status in product(KINDS, REFUSED):
        metrics.requests.labels(kind, status, "").inc()
        metrics.sent_bytes.labels(kind, "").inc()
    for kind, origin in product(KINDS[:2], ORIGINS):
        metrics.sent_bytes.labels(kind, origin).inc()
        metrics.first_byte_seconds.labels(kind, origin).observe(0.1)
    for kind, status, origin in product(KINDS[:2], STORED, ORIGINS):
        metrics.requests.labels(kind, status, origin).inc()


@contextmanager
def fill(folder: Path, processes: int) -> Iterator[None]:
    """Write the files of so many processes."""
    with ExitStack() as held:
        for number in range(processes):
            with Metrics.open(folder) as metrics:
                count_all(metrics)
            lock = held.enter_context((folder / f"{number}.lock").open("rb"))
            fcntl.flock(lock, fcntl.LOCK_EX)  # the next one takes another number
        yield


def measure(work: Callable[[], object]) -> float:
    """Return how many seconds a call takes that nothing disturbs: the shortest of some."""
    times = []
    for _ in range(15):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)


@pytest.mark.alone
def test_a_scrape_takes_at_most_20_ms(tmp_path: Path) -> None:
    """With the files of eight dead workers beside those of nine processes that live."""
    with fill(tmp_path, LIVING + DEAD):
        assert len(list(tmp_path.glob("*.db"))) == 3 * (LIVING + DEAD)
        server = ServerMetrics(tmp_path)
        first = generate_latest(collect(server))
        seconds = measure(lambda: generate_latest(collect(server)))

    assert first.count(b"entrepot_") > 600
    assert seconds <= MOST, f"{1000 * seconds:.1f} ms"
