"""The first minute of a new user: clone, run and test in an empty folder with an empty home."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.timeout(900)
@pytest.mark.skipif("CLEAN_CLONE" in os.environ, reason="this already runs inside a clean clone")
@pytest.mark.parametrize(
    "tests",
    [
        "tests/unit/oci/test_names.py",  # the other tests run in this run already
        pytest.param("tests/unit", marks=pytest.mark.soak),
    ],
)
def test_a_clean_clone_runs_and_tests(tests: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What is committed, and nothing else, is enough to run the mirror and its tests."""
    if not committed():
        pytest.skip("not a checkout with a commit: there is nothing to clone")
    done = subprocess.run(
        [ROOT / ".ci" / "clean-clone", ROOT],
        capture_output=True,
        text=True,
        env=os.environ | {"CLEAN_CLONE_TESTS": tests},
        timeout=840,
        check=False,
    )
    with capsys.disabled():
        sys.stdout.write(f"\n{done.stdout}")
    assert done.returncode == 0, done.stderr[-4000:]


def committed() -> bool:
    """Whether the checkout has a commit to clone."""
    asked = subprocess.run(
        ["git", "-C", ROOT, "rev-parse", "--verify", "--quiet", "HEAD"],
        capture_output=True,
        check=False,
    )
    return asked.returncode == 0
