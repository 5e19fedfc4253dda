"""The version is the same wherever it is written, and it follows from the changelog."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from datetime import date
from pathlib import Path

import pytest
import yaml

from registry import __version__

ROOT = Path(__file__).resolve().parents[2]
WRITTEN = ("pyproject.toml", "registry/__init__.py", "config/helm/entrepot/Chart.yaml")
HEADING = re.compile(r"^## (?:Unreleased|(\d+\.\d+\.\d+) - (\d{4}-\d{2}-\d{2}))$")


def read_headings(changelog: str) -> list[str]:
    return [line for line in changelog.splitlines() if line.startswith("## ")]


def list_versions(folder: Path) -> list[str]:
    """Return the version of each place that has it."""
    project = tomllib.loads((folder / WRITTEN[0]).read_text(encoding="utf-8"))["project"]
    (own,) = re.findall(r'__version__ = "(.*)"', (folder / WRITTEN[1]).read_text(encoding="utf-8"))
    chart = yaml.safe_load((folder / WRITTEN[2]).read_text(encoding="utf-8"))
    return [project["version"], own, chart["version"], chart["appVersion"]]


def test_the_version_is_the_same_everywhere() -> None:
    """Project, program and chart have one version: that of the newest heading, if there is one."""
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = [HEADING.match(line)[1] for line in read_headings(changelog) if " - " in line]

    assert {__version__} == {*list_versions(ROOT), *released[:1]}


def test_the_changelog_has_its_headings_in_order() -> None:
    """First what is not released, then each version with its day, the newest first, each once."""
    headings = read_headings((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    matches = [HEADING.match(line) for line in headings]

    assert headings[0] == "## Unreleased"
    assert None not in matches
    released = [tuple(map(int, found[1].split("."))) for found in matches[1:]]
    days = [date.fromisoformat(found[2]) for found in matches[1:]]
    assert sorted(set(released), reverse=True) == released
    assert sorted(days, reverse=True) == days


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The files that have the version, with a version 1.2.3 that is released."""
    for name in (*WRITTEN, "CHANGELOG.md", "config/release/version.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    write_changes(tmp_path, "Fixed")
    done = set_version(tmp_path, "1.2.3")
    assert done.returncode == 0, done.stderr
    write_changes(tmp_path, "")
    return tmp_path


def write_changes(folder: Path, *kinds: str) -> None:
    """Write what is not released below headings of these kinds, before what is released."""
    path = folder / "CHANGELOG.md"
    released = re.search(r"^## \d.*", path.read_text(), re.MULTILINE | re.DOTALL)
    changes = "".join(f"### {kind}\n\n- Something.\n\n" for kind in kinds if kind)
    path.write_text(f"# Changelog\n\n## Unreleased\n\n{changes}{released[0] if released else ''}")


def set_version(folder: Path, *names: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, folder / "config/release/version.py", *names]
    return subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("kinds", "version"),
    [
        (["Fixed"], "1.2.4"),
        (["Fixed", "Security"], "1.2.4"),
        (["Fixed"], "1.3.0"),
        (["Added", "Fixed"], "1.3.0"),
        (["Changed"], "2.0.0"),
    ],
)
def test_a_version_gets_what_was_not_released(copy: Path, kinds: list[str], version: str) -> None:
    """All places say it, and the changes are below its heading with the day."""
    write_changes(copy, *kinds)

    done = set_version(copy, version)

    assert done.returncode == 0, done.stderr
    assert [version] * 4 == list_versions(copy)
    changelog = (copy / "CHANGELOG.md").read_text()
    first, second, third = read_headings(changelog)
    assert first == "## Unreleased"
    assert re.fullmatch(rf"## {re.escape(version)} - \d{{4}}-\d\d-\d\d", second)
    assert third.startswith("## 1.2.3 - ")
    below = changelog.partition(second)[2].partition(third)[0]
    assert kinds == re.findall(r"^### (.*)$", below, re.MULTILINE)


@pytest.mark.parametrize(
    ("kinds", "names", "problem"),
    [
        (["Fixed"], ["1.2.3"], "CHANGELOG.md has 1.2.3 already"),
        (["Fixed"], ["1.2.2"], "1.2.2 is earlier than 1.2.3"),
        (["Fixed", "Added"], ["1.2.4"], 'has "Added", and 1.2.4 would be for corrections only'),
        (["Renamed"], ["1.2.4"], "name 1.3.0"),
        ([], ["1.3.0"], 'nothing below "Unreleased"'),
        (["Fixed"], ["1.3"], "'1.3' is not a version"),
        (["Fixed"], ["1.3.0-rc1"], "'1.3.0-rc1' is not a version"),
        (["Fixed"], ["1.03.0"], "'1.03.0' is not a version"),
        (["Fixed"], [], "name the next version"),
    ],
)
def test_a_version_that_breaks_the_rule_is_refused(
    copy: Path, kinds: list[str], names: list[str], problem: str
) -> None:
    """Nothing is changed, and a sentence says why."""
    write_changes(copy, *kinds)
    before = (copy / "CHANGELOG.md").read_text()

    done = set_version(copy, *names)

    assert done.returncode == 1
    assert problem in done.stderr
    assert (["1.2.3"] * 4, before) == (list_versions(copy), (copy / "CHANGELOG.md").read_text())
