"""Laws of the files in which processes tell each other what they want."""

import os
import time
from pathlib import Path

from registry.store.demand_files import FRESH, OLD, DemandFiles


def test_each_reads_what_the_others_want_now(tmp_path: Path) -> None:
    """A process reads the last words of all others, and not its own."""
    first, second, third = (DemandFiles(tmp_path) for _ in range(3))
    first.exchange(b"old")
    first.exchange(b"1")
    second.exchange(b"2")

    assert sorted(third.exchange(b"3")) == [b"1", b"2"]
    first.withdraw()
    assert third.exchange(b"3") == [b"2"]


def test_a_process_that_says_nothing_any_more_does_not_count(tmp_path: Path) -> None:
    """The words of a process that died count for seconds, and its file is deleted later."""
    (tmp_path / "questions").touch()
    dead, other = DemandFiles(tmp_path), DemandFiles(tmp_path)
    dead.exchange(b"1")
    [path] = tmp_path.glob("demand-*")
    now = time.time()

    os.utime(path, (now, now - FRESH - 1))
    assert other.exchange(b"2") == []
    assert path.exists()
    os.utime(path, (now, now - OLD - 1))
    assert other.exchange(b"2") == []
    assert not path.exists()
    assert (tmp_path / "questions").exists()


def test_a_disk_that_refuses_stops_nobody(tmp_path: Path) -> None:
    """Without a folder, a process tells nothing and reads nothing."""
    files = DemandFiles(tmp_path / "none")

    assert files.exchange(b"1") == []
    files.withdraw()
