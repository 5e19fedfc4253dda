"""Laws of who is measured by the benchmarks, and of how their processes are."""

import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.bench import Bench, Case, Measure, list_peers, run_case
from benchmarks.built_peers import NORA, Angos, Distribution, Nora
from benchmarks.processes import Server, read_pss
from benchmarks.results import US
from benchmarks.rust_programs import RustMissing, build
from tests.harness.build_commands import BuildBroken
from tests.harness.deadline import await_truth
from tests.harness.processes import list_children


def test_a_case_leaves_peers_out(tmp_path: Path) -> None:
    """Peers that a case does not measure are not prepared and not missing; a note names them."""
    bench = Bench(tmp_path, present={peer.name: peer for peer in list_peers()})
    bench.missing["drayage"] = "no wheel for this machine"
    seen: list[str] = []

    @contextmanager
    def prepare(given: Bench) -> Iterator[dict[str, Measure]]:
        seen.extend(given.present)
        yield {}

    outcome = run_case(bench, Case("x", "x", prepare, without=("nora", "drayage")), 1)

    assert "nora" not in seen
    assert US in seen
    assert (outcome.missing, outcome.notes) == ({}, ("Not measured here: nora, drayage.",))


def test_a_peer_that_is_not_built_is_not_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said which command builds it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    whys = [peer.explain_absence() for peer in (Distribution(), Nora(), Angos())]
    assert whys == [
        "distribution 3.1.2 is not built (make built-peers)",
        "nora 1.4.3 is not built (make built-peers)",
        "angos 1.6.0 is not built (make built-peers)",
    ]


def test_memory_is_that_of_all_processes_of_a_session(tmp_path: Path) -> None:
    """What a program has started counts with it."""
    child = "import time; time.sleep(60)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', '{child}'])"
    server = Server([sys.executable, "-c", code], tmp_path / "log")
    try:
        await_truth(lambda: list_children(server.pid))
        rollup = Path(f"/proc/{server.pid}/smaps_rollup").read_text()
        alone = int(re.findall(r"^Pss: +(\d+)", rollup, re.MULTILINE)[0]) / 1024
        assert await_truth(lambda: read_pss(server.pid) > alone + 1)
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.stop()


def test_a_program_in_rust_is_built_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program that was built is kept; without the tools, it is said which one is missing."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RustMissing, match="missing: nora, and cargo to build it with"):
        build(NORA)
    tool = tmp_path / "cargo"
    tool.write_text(
        f'#!/bin/sh\nPATH=/usr/bin:/bin\necho "$@" >>{tmp_path}/asked\n'
        "mkdir -p root/bin\necho built >root/bin/nora\n"
    )
    tool.chmod(0o755)

    assert build(NORA) == build(NORA)

    assert NORA.place.read_text() == "built\n"
    (asked,) = (tmp_path / "asked").read_text().splitlines()
    assert asked.endswith("nora-registry@1.4.3")


def test_a_failed_build_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of what the tool has said is the reason, and nothing is kept."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    tool = tmp_path / "cargo"
    tool.write_text("#!/bin/sh\necho 'no such crate' >&2\nexit 101\n")
    tool.chmod(0o755)
    with pytest.raises(BuildBroken, match="exit 101: no such crate"):
        build(NORA)
    assert not NORA.place.exists()
