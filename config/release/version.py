# ruff: noqa: INP001
"""Names the next version: `make version NEW=0.2.0`.

What stands below "Unreleased" in CHANGELOG.md gets the heading of the version, with the day, and
the version is written into each file that has it. The rule is that of semantic versioning, read
from the changelog: if all that changed is below "Fixed" and "Security", the last number may be
raised alone; otherwise one of the numbers before it has to be.
"""

import datetime as dt
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHANGELOG = "CHANGELOG.md"
# In each of these files, what stands around the version.
PLACES = (
    ("pyproject.toml", r'(?m)^(version = ")(.*)(")$'),
    ("registry/__init__.py", r'(?m)^(__version__ = ")(.*)(")$'),
    ("config/helm/entrepot/Chart.yaml", r"(?m)^(version: )(.*)()$"),
    ("config/helm/entrepot/Chart.yaml", r'(?m)^(appVersion: ")(.*)(")$'),
)
_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
_HEADING = re.compile(r"^## (.*)$", re.MULTILINE)
_CORRECTIONS = {"Fixed", "Security"}


def read_version(text: str) -> tuple[int, ...]:
    """Return the three numbers of a version."""
    if not _VERSION.fullmatch(text):
        sys.exit(f"version: {text!r} is not a version; write three numbers, such as 0.2.0")
    return tuple(map(int, text.split(".")))


def list_released(changelog: str) -> list[str]:
    """Return the versions that have a heading, the newest first."""
    headings = _HEADING.findall(changelog)
    return [heading.partition(" - ")[0] for heading in headings if heading != "Unreleased"]


def check_number(new: str, changelog: str, current: str) -> None:
    """End with a sentence if the changelog does not allow this version."""
    released = list_released(changelog)
    if new in released:
        sys.exit(f"version: {CHANGELOG} has {new} already; name a later one")
    if read_version(new) < read_version(current):
        sys.exit(f"version: {new} is earlier than {current}; name a later one")
    section = changelog.partition("## Unreleased\n")[2].partition("\n## ")[0]
    kinds = re.findall(r"^### (.*)$", section, re.MULTILINE)
    if not kinds:
        sys.exit(f'version: there is nothing below "Unreleased" in {CHANGELOG}')
    others = [kind for kind in kinds if kind not in _CORRECTIONS]
    if released and read_version(new)[:2] == read_version(current)[:2] and others:
        major, minor, _ = read_version(current)
        sys.exit(
            f'version: {CHANGELOG} has "{others[0]}", and {new} would be for corrections only; '
            f"name {major}.{minor + 1}.0"
        )


def set_version(new: str, day: dt.date) -> None:
    """Write the version into all places, and its heading into the changelog."""
    changelog = ROOT / CHANGELOG
    text = changelog.read_text(encoding="utf-8")
    heading = f"## Unreleased\n\n## {new} - {day}\n"
    changelog.write_text(text.replace("## Unreleased\n", heading, 1), encoding="utf-8")
    for name, pattern in PLACES:
        path = ROOT / name
        former = path.read_text(encoding="utf-8")
        path.write_text(re.sub(pattern, rf"\g<1>{new}\g<3>", former, count=1), encoding="utf-8")


def main(arguments: list[str]) -> None:
    """Set the version that is named, or say why not."""
    if len(arguments) != 1:
        sys.exit("version: name the next version: make version NEW=0.2.0")
    (new,) = arguments
    read_version(new)
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (current,) = (found[1] for found in re.findall(PLACES[0][1], project))
    check_number(new, (ROOT / CHANGELOG).read_text(encoding="utf-8"), current)
    set_version(new, dt.datetime.now(dt.UTC).date())
    sys.stdout.write(f"this is version {new} now; look at it, and commit it: git diff\n")


if __name__ == "__main__":
    main(sys.argv[1:])
