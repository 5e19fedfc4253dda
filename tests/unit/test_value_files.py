"""Laws of the files of values: how they grow, what a full disk costs, and how they are read."""

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from prometheus_client.core import Metric
from prometheus_client.multiprocess import MultiProcessCollector

from registry.metrics.process_metrics import Metrics
from registry.metrics.value_files import FILE_SIZE
from registry.metrics.value_reader import ValueReader

UPSTREAMS = 3000  # so many that their counters do not fit into the first size of a file
COUNT_MUCH = """
import resource, sys
from pathlib import Path
from registry.metrics.process_metrics import Metrics
limit = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
with Metrics.open(Path(sys.argv[1])) as metrics:
    for each in range(3000):
        metrics.downloaded_bytes.labels(f"upstream-{each}").inc()
    for each in range(3000):
        metrics.downloaded_bytes.labels(f"upstream-{each}").inc(2)
    metrics.used_bytes.set(5)
"""

Numbers = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def read(metrics: Iterable[Metric]) -> Numbers:
    """Return each number by its name and labels."""
    samples = [sample for metric in metrics for sample in metric.samples]
    numbers = {(each.name, tuple(sorted(each.labels.items()))): each.value for each in samples}
    assert len(numbers) == len(samples), "none is there twice"
    return numbers


def count(folder: Path, limit: int = 1 << 30) -> None:
    command = [sys.executable, "-c", COUNT_MUCH, str(folder), str(limit)]
    subprocess.run(command, check=True, timeout=60)


def find_counts(folder: Path) -> list[float]:
    found = read(ValueReader(folder).collect())
    return [value for (name, _), value in found.items() if "downloaded" in name]


def test_a_file_grows_without_holes(tmp_path: Path) -> None:
    """Values that do not fit any more have room of their own; those before them go on counting."""
    count(tmp_path)

    assert find_counts(tmp_path) == [3.0] * UPSTREAMS
    file = tmp_path / "counter_0.db"
    assert file.stat().st_size > FILE_SIZE
    assert file.stat().st_blocks * 512 >= file.stat().st_size


def test_a_full_disk_costs_only_the_values_that_do_not_fit(tmp_path: Path) -> None:
    """The process goes on, and counts these in its memory."""
    count(tmp_path, FILE_SIZE)

    found = find_counts(tmp_path)
    assert 0 < len(found) < UPSTREAMS
    assert set(found) == {3.0}
    assert read(ValueReader(tmp_path).collect())["entrepot_used_bytes", ()] == 5


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the values of two processes, of which one has ended."""
    for number, amount in enumerate((1, 10)):
        with Metrics.open(tmp_path) as metrics:
            metrics.sent_bytes.labels("blobs", "hit").inc(amount)
            metrics.requests.labels("blobs", "200", f"origin {number}").inc()
            for seconds in (0.0, 0.02, 0.5, 400):
                metrics.request_seconds.labels("blobs").observe(seconds * amount)
                metrics.first_byte_seconds.labels("blobs", f"{number}").observe(seconds)
            metrics.used_bytes.set(amount)
            metrics.pull_limits.note("hub", "ü", 7 * amount, allowed=100, until=1.0)
        for kind in ("counter", "histogram", "gauge_mostrecent"):
            (tmp_path / f"{kind}_0.db").rename(tmp_path / f"{kind}_{9 - number}.db")
    return tmp_path


def test_what_is_read_is_what_the_library_reads(folder: Path) -> None:
    """Sums, buckets and gauges are the same as those of prometheus_client itself."""
    collector = MultiProcessCollector(None, str(folder))  # type: ignore[no-untyped-call]
    expected = read(collector.collect())  # type: ignore[no-untyped-call]

    found = ValueReader(folder).collect()

    assert expected["entrepot_sent_bytes_total", (("kind", "blobs"), ("origin", "hit"))] == 11
    assert read(found) == expected
    types = {each.name: (each.type, each.documentation) for each in ValueReader(folder).collect()}
    assert types == {
        each.name: (each.type, each.documentation)
        for each in collector.collect()  # type: ignore[no-untyped-call]
        if each.samples
    }


def test_a_reader_sees_what_came_since(folder: Path) -> None:
    """It remembers where values are: new values, changed ones and new processes are seen."""
    reader = ValueReader(folder)
    before = read(reader.collect())

    with Metrics.open(folder) as metrics:
        metrics.sent_bytes.labels("blobs", "hit").inc(100)
        metrics.sent_bytes.labels("blobs", "joined").inc(5)
        now = read(reader.collect())
        metrics.sent_bytes.labels("blobs", "joined").inc(1)
        later = read(reader.collect())

    name, labels = "entrepot_sent_bytes_total", ("kind", "blobs")
    assert before[name, (labels, ("origin", "hit"))] == 11
    assert now[name, (labels, ("origin", "hit"))] == 111
    assert now[name, (labels, ("origin", "joined"))] == 5
    assert later[name, (labels, ("origin", "joined"))] == 6


def test_a_process_that_takes_over_goes_on(tmp_path: Path) -> None:
    """The number of a process that has ended is used again, so no counter goes back."""
    for _ in range(3):
        with Metrics.open(tmp_path) as metrics:
            metrics.quarantined.inc()
            assert sorted(each.name for each in tmp_path.iterdir()) == [
                "0.lock",
                "counter_0.db",
                "gauge_mostrecent_0.db",
                "histogram_0.db",
            ]

    assert read(ValueReader(tmp_path).collect())["entrepot_quarantined_total", ()] == 3
