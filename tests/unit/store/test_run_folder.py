"""Laws of folders of running servers: each server has its own, and dead servers' are deleted."""

import os
import subprocess
import sys
from pathlib import Path

from registry.store.run_folder import open_run_folder

HOLD = """
import sys
from pathlib import Path
from registry.store.run_folder import open_run_folder
print(open_run_folder(Path(sys.argv[1])), flush=True)
sys.stdin.read()
"""


def test_the_living_keep_theirs(tmp_path: Path) -> None:
    """The folder of a running server stays; it is deleted at the next start after its end."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "metrics")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        theirs = Path(other.stdout.readline().decode().strip())
        (theirs / "counter_1.db").touch()

        ours = open_run_folder(tmp_path / "metrics")

        assert ours != theirs
        assert (theirs / "counter_1.db").exists()
        other.kill()
        other.wait()
    again = open_run_folder(tmp_path / "metrics")
    assert not theirs.exists()
    assert {again, ours} == set((tmp_path / "metrics").iterdir())


def test_files_of_former_versions_go(tmp_path: Path) -> None:
    """Metric files that an earlier version wrote into the parent folder are deleted."""
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / f"counter_{os.getpid()}.db").touch()
    ours = open_run_folder(tmp_path / "metrics")
    assert [ours] == list((tmp_path / "metrics").iterdir())
