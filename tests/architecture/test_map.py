"""Laws of docs/architecture.md: what it says about files and imports is true of the code."""

import re

from tests.architecture.source import ROOT, read_sources
from tests.architecture.test_layers import MAY_IMPORT

PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PLACES = PAGE.partition("## Where do I change…")[2]
ANYWHERE = frozenset({"errors", "oci", "logs", "metrics", "tasks"})  # the drawing leaves them out


def list_files() -> set[str]:
    """Return every file of `registry/` that has code of its own, as the page writes it."""
    paths = (source.path.relative_to(ROOT / "registry") for source in read_sources("registry"))
    return {str(path) for path in paths if path.name not in ("__init__.py", "__main__.py")}


def test_every_file_can_be_found() -> None:
    """Who reads only the page finds for each file what it answers."""
    assert list_files() - set(re.findall(r"`([a-z_0-9/]+\.py)`", PLACES)) == set()


def test_the_page_names_no_other_file() -> None:
    """No path on the page outlives its file or folder."""
    paths = re.findall(r"`((?:[a-z_0-9.]+/)+(?:[a-z_0-9]+\.[a-z]+)?)`", PLACES)

    assert paths
    assert {
        path for path in paths if not any((ROOT / at / path).exists() for at in ("", "registry"))
    } == set()


def test_the_drawing_shows_the_imports() -> None:
    """Each line of the drawing has the rooms that the table of imports allows."""
    drawing = PAGE.partition("```text\ncli")[2].partition("```")[0]
    drawn = {}
    for line in f"cli{drawing}".splitlines():
        importers, _, imported = line.partition("─►")
        rooms = set() if "no room" in imported else set(imported.replace(",", " ").split())
        drawn |= dict.fromkeys(importers.replace(",", " ").split(), rooms - ANYWHERE)

    assert drawn == {
        room: set(allowed.split()) - ANYWHERE
        for room, allowed in MAY_IMPORT.items()
        if room not in ANYWHERE - {"oci"} and room != "__main__"
    }
