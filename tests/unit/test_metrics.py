"""Laws of the files to which a process writes its metrics."""

import fcntl
import subprocess
import sys
import time
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from registry.console.state import State
from registry.content.served import ServedTotals, read_served
from registry.metrics.collection import ServerMetrics, collect
from registry.metrics.process_metrics import Metrics, find_observe
from registry.metrics.value_files import FILE_SIZE

COUNT = """
import os, resource, sys, time
from contextlib import ExitStack
from pathlib import Path
from registry.metrics.process_metrics import Metrics
folder, limit = Path(sys.argv[1]), int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
before = Metrics()
before.sent_bytes.labels("blobs", "hit").inc(100)
with ExitStack() as stack:
    try:
        metrics = stack.enter_context(Metrics.open(folder))
    except OSError as error:
        print("no room")
        metrics = Metrics()
    metrics.sent_bytes.labels("blobs", "hit").inc(3)
    metrics.sent_bytes.labels("manifests", "miss").inc(1)
    metrics.sent_bytes.labels("blobs", "joined").inc(2)
    metrics.sent_bytes.labels("tags", "").inc(50)
    metrics.downloaded_bytes.labels("docker.io").inc(2)
    metrics.requests.labels("blobs", "206", "joined").inc()
    metrics.requests.labels("blobs", "200", "hit").inc()
    metrics.requests.labels("manifests", "200", "miss").inc()
    metrics.requests.labels("tags", "200", "miss").inc()
    metrics.requests.labels("manifests", "404", "").inc()
    metrics.pull_limits.note("hub", "me", 7, allowed=100, until=time.time() + 3600)
    metrics.pull_limits.note("hub", "you", 0, allowed=100, until=time.time() - 1)
    metrics.request_seconds.labels("blobs").observe(1)
"""


def count(folder: Path, limit: int = 1 << 30, before: str = "") -> str:
    """Count in another process, which runs `before` first."""
    command = [sys.executable, "-c", f"{before}\n{COUNT}", str(folder), str(limit)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def scrape(folder: Path) -> str:
    return generate_latest(collect(ServerMetrics(folder))).decode()


def test_the_console_adds_up_all_processes(tmp_path: Path) -> None:
    """Two processes that count after everything is imported give one sum; memory counts are not in.

    An upgrade of prometheus_client that no longer asks `values.ValueClass` fails here.
    """
    assert count(tmp_path) == ""
    assert count(tmp_path, before="import registry.server.worker") == ""

    lines = scrape(tmp_path).splitlines()

    assert 'entrepot_sent_bytes_total{kind="blobs",origin="hit"} 6.0' in lines
    assert 'entrepot_upstream_pulls_remaining{endpoint="hub",identity="me"} 7.0' in lines
    assert 'entrepot_upstream_pulls_limit{endpoint="hub",identity="me"} 100.0' in lines
    assert not [line for line in lines if 'identity="you"' in line], "its period is over"
    assert 'entrepot_request_seconds_bucket{kind="blobs",le="0.5"} 0.0' in lines
    assert 'entrepot_request_seconds_bucket{kind="blobs",le="1.0"} 2.0' in lines
    assert 'entrepot_request_seconds_sum{kind="blobs"} 2.0' in lines


def test_what_was_set_last_counts_whatever_the_clock_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One process has set it while the clock was an hour ahead, and then another one."""
    now = time.time()
    with Metrics.open(tmp_path) as first, Metrics.open(tmp_path) as second:
        monkeypatch.setattr(time, "time", lambda: now + 3600)
        first.used_bytes.set(1)
        monkeypatch.setattr(time, "time", lambda: now)
        second.used_bytes.set(2)

        assert "entrepot_used_bytes 2.0" in scrape(tmp_path)


def test_files_have_no_holes(tmp_path: Path) -> None:
    """All bytes of a file are on the disk before the first count."""
    assert count(tmp_path) == ""

    holes = [path for path in tmp_path.glob("*.db") if path.stat().st_blocks * 512 < FILE_SIZE]
    assert len(list(tmp_path.glob("*.db"))) == 3
    assert holes == []


def test_a_process_goes_on_with_the_counts_of_a_dead_one(tmp_path: Path) -> None:
    """The files of a process that ended are taken over, so they do not become more and more."""
    for _ in range(3):
        assert count(tmp_path) == ""

    assert len(list(tmp_path.glob("*.db"))) == 3
    text = scrape(tmp_path)
    assert 'entrepot_sent_bytes_total{kind="blobs",origin="hit"} 9.0' in text


def test_the_files_of_a_living_process_are_not_taken(tmp_path: Path) -> None:
    """Each of two processes at the same time has its own files, and their counts are added up."""
    assert count(tmp_path) == ""
    with (tmp_path / "0.lock").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert count(tmp_path) == ""

    assert len(list(tmp_path.glob("*.db"))) == 6
    text = scrape(tmp_path)
    assert 'entrepot_sent_bytes_total{kind="blobs",origin="hit"} 6.0' in text


def test_without_room_counting_goes_on_in_memory(tmp_path: Path) -> None:
    """A process without a file counts in memory, and leaves no file that takes space."""
    assert count(tmp_path, 4096) == "no room\n"

    assert [path.stat().st_size for path in tmp_path.iterdir()] == [0]


def test_what_was_served_is_counted_over_servers(tmp_path: Path) -> None:
    """Manifests and blobs are hits if they were stored; a server that ended is none.

    What was sent beyond what was downloaded is saved.
    """
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        assert count(tmp_path / name) == ""

    served = read_served([tmp_path / "one", tmp_path / "two", tmp_path / "gone"])

    assert served == ServedTotals(requests=6, hits=2, sent=12, hit_bytes=6, fetched=4)
    assert served.saved == 8


def test_the_state_is_told_with_the_counts(tmp_path: Path) -> None:
    """Limit, free bytes, downloads, version and certificates are gauges beside what is counted."""
    ends = (("server.tls_cert", 1_800_000_000.0),)
    loading = (False, 1_700_000_000.0)
    state = State(10, 7, 2, version="1.2.3", certificates=ends, loading=loading)

    metrics = ServerMetrics(tmp_path)
    lines = generate_latest(collect(metrics, state)).decode().splitlines()

    assert {
        "entrepot_limit_bytes 10.0",
        "entrepot_free_bytes 7.0",
        "entrepot_downloads 2.0",
        'entrepot_build_info{version="1.2.3"} 1.0',
        'entrepot_certificate_expiry_timestamp_seconds{setting="server.tls_cert"} 1.8e+09',
        "entrepot_config_reload_success 0.0",
        "entrepot_config_reload_success_timestamp_seconds 1.7e+09",
    } <= set(lines)


def test_a_download_for_clients_that_left_saved_nothing(tmp_path: Path) -> None:
    """If more was downloaded than sent, the saved bytes are 0, and not negative."""
    command = f"{COUNT}\n    metrics.downloaded_bytes.labels('ghcr.io').inc(1000)"
    subprocess.run(
        [sys.executable, "-c", command, str(tmp_path), str(1 << 30)], check=True, timeout=60
    )

    assert read_served([tmp_path]).saved == 0


def test_many_amounts_are_observed_at_once() -> None:
    """It is the same as one after the other, also at the limits of buckets."""
    amounts = [0.0, 0.001, 0.0011, 0.5, 300.0, 301.0, 0.5]
    one, many = Metrics(), Metrics()
    for amount in amounts:
        one.request_seconds.labels("blobs").observe(amount)
    find_observe(many.request_seconds.labels("blobs"))(amounts)
    find_observe(many.request_seconds.labels("manifests"))(amounts[:1])
    one.request_seconds.labels("manifests").observe(amounts[0])

    def samples(metrics: Metrics) -> list[object]:
        (found,) = metrics.request_seconds.collect()
        return [each[:3] for each in found.samples if not each.name.endswith("_created")]

    assert samples(one) == samples(many)
