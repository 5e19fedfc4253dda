"""The site of the documents: it builds without a warning, and needs no network."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage

ROOT = Path(__file__).resolve().parents[2]
# The attributes by which a page makes a browser load something.
_LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}
SITEMAP = re.compile(r"sitemap\.xml|^Failed to load resource: net::ERR_FAILED$")


class Loaded(HTMLParser):
    """Collects what a page loads by itself; links that a person follows are something else."""

    def __init__(self) -> None:
        super().__init__()
        self.urls: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag in _LOADED and found.get("rel") != "canonical":
            self.urls.append(found.get(_LOADED[tag]) or "")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site; a warning of mkdocs, such as a dead link, fails."""
    program = Path(sys.prefix) / "docs/bin/mkdocs"  # `make docs` makes an environment of its own
    if not program.exists():
        if os.environ.get("CI"):
            pytest.fail("mkdocs is not installed: make docs")
        pytest.skip("mkdocs is not installed: make docs")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [program, "build", "--strict", "--site-dir", folder],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


def test_every_page_is_in_the_site(site: Path) -> None:
    """In English, and each also below the address of the Chinese ones."""
    pages = [path.stem for path in (ROOT / "docs").glob("*.md") if path.suffixes == [".md"]]
    built = {path.relative_to(site).as_posix() for path in site.rglob("*.html")}

    assert pages
    assert {f"{place}{page}.html" for page in (*pages, "index") for place in ("", "zh/")} <= built


def test_no_page_loads_anything_from_another_host(site: Path) -> None:
    """Behind an air gap nothing is missing, and nobody learns who reads."""
    found = []
    for path in site.rglob("*.html"):
        parser = Loaded()
        parser.feed(path.read_text(encoding="utf-8"))
        found += [f"{path.name}: {url}" for url in parser.urls if re.match(r"(https?:)?//", url)]

    assert found == []


def test_a_reader_without_a_network_searches(site: Path, open_page: OpenPage) -> None:
    """From a folder on a disk, in a browser that is offline; a result leads to its page."""
    watched = open_page((site / "index.html").as_uri(), offline=True)
    page = watched.page
    expect(page.locator("article h1")).to_contain_text("Entrepôt")
    query = page.locator("[data-md-component=search-query]")
    query.click()
    query.press_sequentially("quarantine")
    result = page.locator(".md-search-result__link").first
    expect(result).to_be_visible(timeout=15_000)
    result.click()
    expect(page.locator("article")).to_contain_text("quarantine")

    # The theme looks for another version of the page in a file that a page from a disk cannot read.
    others = [each for each in watched.problems if not SITEMAP.search(each)]
    assert others == []
    assert watched.hosts == {""}
