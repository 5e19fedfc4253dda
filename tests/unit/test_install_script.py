"""The wheel archive: its pages, and the help and the refusals of the script that installs it."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "config" / "wheelhouse" / "install"


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


def test_the_archive_has_what_its_pages_link_to() -> None:
    """On a machine without a network, a dead link leads nowhere."""
    pack = (SCRIPT.parent / "pack").read_text(encoding="utf-8")
    packed = re.findall(r'"?\$root"?/([^ "]+)', "\n".join(re.findall("^cp .*", pack, re.MULTILINE)))
    dead = [
        f"{page.name}: {target}"
        for page in (ROOT / "docs").glob("*.md")
        for target in re.findall(r"\]\(([^):#]+)[)#]", page.read_text(encoding="utf-8"))
        if not any(
            (page.parent / target).resolve().is_relative_to(each.resolve())
            for pattern in packed
            for each in ROOT.glob(pattern)
        )
    ]
    assert dead == []
