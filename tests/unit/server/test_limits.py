"""Laws of the numbers behind the limits: what is computed, and what is said of overload."""

import os
import resource
import subprocess
import sys
from types import SimpleNamespace

import pytest

from registry.server import descriptors
from registry.server.descriptors import SpareDescriptor, count_descriptors, plan_connections
from registry.server.heartbeats import Heartbeats, WorkerLoad
from registry.server.send_progress import SendProgress
from registry.settings.model import LimitSettings


@pytest.mark.parametrize(
    ("descriptors", "limits", "planned"),
    [
        (1024, {}, (256, 128)),
        (20_000, {}, (6581, 3290)),
        (1 << 20, {}, (10_000, 5000)),
        (64, {}, (16, 16)),
        (20_000, {"connections": 100}, (100, 64)),
        (1024, {"connections": 5000}, (256, 128)),
        (1024, {"connections_per_address": 10}, (256, 10)),
        (1024, {"connections_per_address": 5000}, (256, 256)),
    ],
)
def test_connections_are_planned(
    descriptors: int, limits: dict[str, int], planned: tuple[int, int]
) -> None:
    """A third of the descriptors are for clients; a setting can only ask for what is possible."""
    assert plan_connections(LimitSettings(**limits), descriptors) == planned


def test_the_soft_limit_is_raised() -> None:
    """A process that was started with 100 descriptors, and may have 200, has 200."""
    code = """
import resource
from registry.server.descriptors import raise_descriptor_limit
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 200))
print(raise_descriptor_limit(), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)

    assert done.stdout.split() == [b"200", b"200", b"200"]


def test_a_spare_descriptor_can_be_used() -> None:
    """It is one descriptor until it is released, and again when it was taken."""
    before = count_descriptors()
    spare = SpareDescriptor()
    counts = [count_descriptors() - before]
    for act in (spare.release, spare.release, spare.take, spare.take, spare.release):
        act()
        counts.append(count_descriptors() - before)

    assert counts == [1, 0, 0, 1, 1, 0]


def test_open_files_are_counted() -> None:
    """One more after a file was opened."""
    before = count_descriptors()
    opened = os.open(os.devnull, os.O_RDONLY)
    after = count_descriptors()
    os.close(opened)

    assert after == before + 1


def test_open_files_are_counted_if_none_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before Linux 6.2 the folder is listed, and that needs one more descriptor."""
    before = count_descriptors()
    older = SimpleNamespace(stat=lambda _: SimpleNamespace(st_size=0), listdir=os.listdir)
    monkeypatch.setattr(descriptors, "os", older)
    assert count_descriptors() == before + 1  # with that of the listing itself
    next_one = os.open(os.devnull, os.O_RDONLY)
    os.close(next_one)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (next_one, hard))
    try:
        assert count_descriptors() == next_one
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(
    ("samples", "fault"),
    [
        ([(10, 0), (59, 0)], ""),
        ([(10, 0), (60, 0)], "stalled"),
        ([(30, 1000), (89, 1000)], "too slow"),
        ([(30, 61_440), (60, 61_440)], ""),
        ([(30, 61_440), (60, 61_440), (90, 61_440)], "stalled"),
        ([(50, 61_440), (60, 122_880), (100, 122_890)], ""),
        ([(50, 61_440), (60, 122_880), (121, 122_890)], "too slow"),
    ],
)
def test_progress_is_judged(samples: list[tuple[float, int]], fault: str) -> None:
    """Sixty seconds without a byte, or less than 1 KiB a second over sixty seconds."""
    progress = SendProgress.begin(0, 0)
    found = ""
    for seconds, accepted in samples:
        assert not found
        progress.add(seconds, accepted)
        found = progress.find_fault(seconds, 60, 1024)

    assert found == fault


def test_overload_is_explained() -> None:
    """The first worker that refuses clients, or has nearly all descriptors; otherwise nothing."""
    beats = Heartbeats(2)
    for number in (0, 1):
        beats.beat(number)
    fine = WorkerLoad(10, 20, 30, 100)
    beats.set_load(0, fine)
    assert beats.explain_overload() == ""

    beats.set_load(1, WorkerLoad(20, 20, 50, 100, refused_at=1e-9))
    assert beats.explain_overload() == ""  # that was long ago

    beats.set_load(1, WorkerLoad(10, 20, 91, 100))
    assert beats.explain_overload() == "worker 1 has 91 of 100 files and sockets open"
    assert beats.read_loads()[0] == fine


def test_a_refusal_is_overload_for_a_while() -> None:
    """For five seconds after the last refusal."""
    load = WorkerLoad(20, 20, 50, 100, refused_at=1000)

    assert load.explain_overload(1004) == "refuses clients: 20 of 20 connections"
    assert load.explain_overload(1006) == ""
