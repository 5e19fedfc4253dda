"""Files of metrics that a power cut has damaged: what can be read of them is, and nothing crashes.

The kernel writes the parts of such a file to the disk in any order. What it had not written yet is
empty after a power cut. The background process reads these files when the next server begins.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from registry.content.served import UPSTREAM, total
from registry.metrics.collection import ServerMetrics, read_values
from registry.metrics.process_metrics import Metrics

PAGE = 4096
UPSTREAMS = [f"registry-{number}.example.net" for number in range(100)]


@pytest.fixture
def server(tmp_path: Path) -> Path:
    """The folder of a server that has counted a byte for each of a hundred upstreams."""
    with Metrics.open(tmp_path) as metrics:
        for name in UPSTREAMS:
            metrics.downloaded_bytes.labels(name).inc(1)
        metrics.used_bytes.set(5)
    return tmp_path


def find_file(server: Path) -> Path:
    (file,) = server.glob("counter_*.db")
    return file


def empty(file: Path, start: int, stop: int) -> None:
    with file.open("r+b") as opened:
        opened.seek(start)
        opened.write(bytes(stop - start))


def count(server: Path) -> int:
    """Return how many bytes are counted for upstreams."""
    found = total(read_values([server]))
    return sum(size for (kind, _), (_, size) in found.items() if kind == UPSTREAM)


@pytest.mark.parametrize("start", [PAGE, PAGE + 1, 2 * PAGE + 100, 3 * PAGE - 3])
def test_what_is_before_an_empty_part_is_read(server: Path, start: int) -> None:
    """What is behind it is lost: where its values would be is not known."""
    assert count(server) == len(UPSTREAMS)

    empty(find_file(server), start, 5 * PAGE)

    assert 0 < count(server) < len(UPSTREAMS)


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: empty(file, 0, PAGE),
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(b"abc"),
        lambda file: file.write_bytes(file.read_bytes()[: PAGE + 5]),
    ],
)
def test_a_file_without_its_beginning_or_end_is_read(
    server: Path, damage: Callable[[Path], None]
) -> None:
    """Nothing of it, or a part; the other files are read as ever."""
    damage(find_file(server))

    assert count(server) == 0
    assert any(each.name == "entrepot_used_bytes" for each in ServerMetrics(server).collect())
