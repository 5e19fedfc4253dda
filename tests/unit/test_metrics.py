"""Laws of the files that a process counts in."""

import subprocess
import sys
from pathlib import Path

COUNT = """
import os, resource, sys
from pathlib import Path
folder, limit = Path(sys.argv[1]), int(sys.argv[2])
os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
from registry.metrics import Metrics, reserve_files
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    reserve_files(folder)
except OSError as error:
    print("no room")
metrics = Metrics()
metrics.sent_bytes.inc(3)
metrics.pulls_remaining.labels("hub", "me").set(7)
metrics.request_seconds.labels("blobs").observe(1)
"""


def count(folder: Path, limit: int) -> str:
    command = [sys.executable, "-c", COUNT, str(folder), str(limit)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def test_files_have_no_holes(tmp_path: Path) -> None:
    """Every byte of them is on the disk before the first count: a hole may kill a process."""
    assert count(tmp_path, 1 << 30) == ""

    holes = [path for path in tmp_path.iterdir() if path.stat().st_blocks * 512 < 128 * 1024]
    assert len(list(tmp_path.glob("*.db"))) == 3
    assert holes == []


def test_without_room_counting_goes_on_unseen(tmp_path: Path) -> None:
    """A process that gets no file counts in its memory and leaves nothing behind."""
    assert count(tmp_path, 4096) == "no room\n"

    assert list(tmp_path.iterdir()) == []
