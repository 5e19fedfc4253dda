"""What the documents say of settings can be written: each example loads, and each name exists."""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from registry.settings.loading import load_settings
from registry.settings.model import Settings
from tests.documents.places import ROOT, SETTINGS_PAGE

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TABLES = frozenset(each.name for each in fields(Settings))
SECTIONS = ("server", "storage", "tags", "limits", "bundles", "access")
ENDPOINTS = 'endpoints = ["https://harbor.lan", "https://nexus.lan/repository/docker-proxy"]\n'
_NAMED = re.compile(rf"`(?:entrepot )?({'|'.join(SECTIONS)})\.([a-z_]+)\b(?!\.[a-z]+`)")
_BLOCK = re.compile(r"^( *)```toml\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^## \[(.*)\]$", re.MULTILINE)
_FILES = re.compile(r'"((?:/[a-z./-]+|tls/[a-z.]+))"')


def list_examples(page: Path) -> Iterator[str]:
    """Yield the settings files that a page shows; those of clients have other tables."""
    text = page.read_text(encoding="utf-8")
    for found in _BLOCK.finditer(text):
        example = re.sub(rf"^{found[1]}", "", found[2], flags=re.MULTILINE)
        if page == SETTINGS_PAGE and not example.startswith("["):
            above = _HEADING.findall(text[: found.start()])
            more = ENDPOINTS if example.startswith("trusted = ") else ""
            example = f"[{above[-1].replace('NAME', 'docker.io')}]\n{more}{example}"
        tables = tomllib.loads(example)
        is_settings = tables.keys() <= TABLES and not isinstance(tables.get("server"), str)
        if is_settings:
            yield example


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_example_loads(page: Path, tmp_path: Path) -> None:
    """Who copies it has settings that can be used; its files are there, and its users too."""
    secret = tmp_path / "file"
    secret.write_text("secret")
    for number, example in enumerate(list_examples(page)):
        file = tmp_path / f"{number}.toml"
        file.write_text(_FILES.sub(f'"{secret}"', example))
        load_settings(file, {})


def test_examples_are_found() -> None:
    """The pages with settings are not passed over."""
    counts = {page.name: len([*list_examples(page)]) for page in PAGES}

    assert counts["settings.md"] > 15
    assert counts["README.md"] >= 2
    assert all(counts[name] for name in ("access.md", "airgap.md", "slow-links.md", "storage.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_named_setting_exists(page: Path) -> None:
    """A name such as `storage.limit` is one of the settings."""
    known = {
        f"{section}.{each.name}"
        for section in SECTIONS
        for each in fields(type(getattr(Settings(), section)))
    }
    named = {".".join(found) for found in _NAMED.findall(page.read_text(encoding="utf-8"))}

    assert named - known - {"access.jsonl"} == set()  # that is a file
