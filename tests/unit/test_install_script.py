"""The script that installs from the wheel archive: its help, and what it refuses at once."""

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "config" / "wheelhouse" / "install"


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(SCRIPT), *words], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_it_prints_its_own_help(option: str) -> None:
    """The help names what can be called, and nothing is installed."""
    done = run(option)
    assert (done.returncode, done.stderr) == (0, "")
    assert "./install FOLDER" in done.stdout
    assert "--platform" in done.stdout


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["-x"], "there is no option -x"),
        (["--system-site-packages", "/opt/x"], "there is no option --system-site-packages"),
        ([""], "name the folder to install into"),
        ([], "name the folder to install into"),
    ],
)
def test_an_option_is_no_folder(words: list[str], why: str) -> None:
    """Otherwise venv would take the option for its own."""
    done = run(*words)
    assert done.returncode == 1
    assert why in done.stderr
