"""A hook of mkdocs: the documents as they are in the site.

They are copied beside the site, with the files from outside of docs/ that they lead to, such as
README.md, which is the first page. What links lead to in the repository, they lead to there.
"""

import posixpath
import re
import shutil
from functools import partial
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import event_priority
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
# The file, from the root of the repository, and what it is called in the site.
ADDED = {
    "README.md": "index.md",
    "README.zh-CN.md": "index.zh.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "reporting.md",
    "LICENSE": "LICENSE.txt",
    "config/entrepot.toml": "entrepot.toml",
}
_FIRST = {"index.md": "index.html", "index.zh.md": "zh/index.html"}
_NAMED_BLOCK = re.compile(r"^(```[a-z]+) ([a-z.]+)$", re.MULTILINE)  # ```json bundle.json
_LINK = re.compile(r"\[([^\]\n]*)\]\(([^)\s#:]+)(#[^)\s]*)?\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Copy the documents, and let mkdocs read the copy; mkdocs calls this for each language."""
    copy = Path(config.site_dir).parent / "documents"
    if Path(config.docs_dir) != copy:
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(ROOT / "docs", copy)
        for name, page in ADDED.items():
            if (ROOT / name).exists():
                shutil.copy(ROOT / name, copy / page)
        for path in copy.rglob("*.md"):
            lead = partial(_lead, path.relative_to(copy).as_posix())
            text = _LINK.sub(lead, path.read_text(encoding="utf-8"))
            path.write_text(_NAMED_BLOCK.sub(r'\1 title="\2"', text), encoding="utf-8")
        config.docs_dir = str(copy)
    return config


def _lead(place: str, link: re.Match[str]) -> str:
    """Return a link of the page at `place` with the target that it has in the site."""
    text, target, anchor = link[1], link[2], link[3] or ""
    source = next((name for name, page in ADDED.items() if page == place), f"docs/{place}")
    page = _find_page(posixpath.normpath(posixpath.join(posixpath.dirname(source), target)))
    folder = posixpath.dirname(place)
    if page in _FIRST and place in _FIRST and page != place:  # the same page in the other language
        there = posixpath.relpath(_FIRST[page], posixpath.dirname(_FIRST[place]) or ".")
        return f'<a href="{there}">{text}</a>'
    return f"[{text}]({posixpath.relpath(page, folder or '.')}{anchor})"


def _find_page(path: str) -> str:
    """Return the name in the site of a file or folder of the repository."""
    if path in ADDED:
        return ADDED[path]
    if (ROOT / path).is_dir():
        path = f"{path}/README.md"
    return posixpath.relpath(path, "docs")


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let the search find guides before records, and no page twice that is not in Chinese yet."""
    if page.file.src_uri.startswith(("decisions/", "evidence/", "changelog")):
        page.meta["search"] = {"boost": 0.2}
    if getattr(page.file, "locale", "") != getattr(page.file, "locale_alternate_of", ""):
        page.meta["search"] = {"exclude": True}
    return markdown


@event_priority(-1000)  # after the plugin for languages has put their indexes together
def on_post_build(config: MkDocsConfig) -> None:
    """Write the index of the search as a script: a page from a disk may load nothing else."""
    folder = Path(config.site_dir) / "search"
    if (folder / "search_index.json").exists():
        index = (folder / "search_index.json").read_text(encoding="utf-8")
        (folder / "search_index.js").write_text(f"var __index = {index}", encoding="utf-8")
