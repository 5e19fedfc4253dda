"""Laws of the Chinese pages: each says what its English page says, in the words of the glossary."""

import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from tests.architecture.source import ROOT

# The pages that users read have a Chinese page beside them. A new page is in one of the two lists.
USER_PAGES = ("quickstart", "clients", "slow-links", "access", "airgap", "security", "storage")
USER_PAGES += ("operations", "installation", "monitoring", "capacity", "troubleshooting")
ENGLISH_ONLY = ("architecture", "bundle-format", "commands", "settings")
TRANSLATED = {"README.md": "README.zh-CN.md"}
TRANSLATED |= {f"docs/{page}.md": f"docs/{page}.zh.md" for page in USER_PAGES}
GLOSSARY = "docs/glossary.zh.md"
MESSAGES = "registry/console/messages/zh.toml"
CHINESE = (*TRANSLATED.values(), GLOSSARY)

_FENCE = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r'^(?:<a id="([^"]+)"></a>\n\n)?(#+) (.+)$', re.MULTILINE)
_COMMENT = re.compile(r"[ \t]*(?<!\S)# .*")
_CODE = re.compile(r"`([^`]+)`")
_PICTURE = re.compile(r"!\[[^\]]*\]\(([^)]+)\)")
_LINK = re.compile(r"\]\(([^)#:]*)#?([^):]*)\)")
# A letter or digit that touches a Chinese character, and half-width punctuation beside one.
_HAN = "[\u4e00-\u9fff]"
_CROWDED = re.compile(f"{_HAN}[A-Za-z0-9`]|[A-Za-z0-9`]{_HAN}|{_HAN}[,;:!?]|[,;:!?] ?{_HAN}")
# CommonMark shows the asterisks behind a stop as they are, if no space or stop is behind them.
_BOLD = re.compile(r"\*\*(.+?)\*\*(.?)")
_STOP = "[\u3000-\u303f\uff00-\uffef`]"


@dataclass(frozen=True)
class Section:
    """What a translation does not change in the text below one heading."""

    level: int
    anchor: str
    code: frozenset[str]
    blocks: tuple[str, ...]
    rows: int
    pictures: tuple[str, ...]


def read(page: str) -> str:
    """Return the text of a page."""
    return (ROOT / page).read_text(encoding="utf-8")


def read_block(fence: re.Match[str]) -> str:
    """Return a block of code without its indentation, and without comments, if it may have some."""
    language, text = fence[2], re.sub(rf"^{fence[1]}", "", fence[3], flags=re.MULTILINE)
    return f"{language}\n{text if language in ('text', 'json') else _COMMENT.sub('', text)}"


def make_anchor(heading: str) -> str:
    """Return the anchor of an English heading, as GitHub and mkdocs make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def list_sections(page: str) -> list[Section]:
    """Return the sections of a page in their order; the first one has the title."""
    fences = list(_FENCE.finditer(read(page)))
    prose = _FENCE.sub(lambda fence: "\0" + "\n" * fence[0].count("\n"), read(page))
    headings = [*_HEADING.finditer(prose)]
    ends = [heading.start() for heading in headings[1:]] + [len(prose)]
    sections = []
    for heading, end in zip(headings, ends, strict=True):
        below = prose[heading.end() : end]
        blocks = [fences.pop(0) for _ in range(below.count("\0"))]
        sections.append(
            Section(
                len(heading[2]),
                "" if len(heading[2]) == 1 else heading[1] or make_anchor(heading[3]),
                frozenset(" ".join(code.split()) for code in _CODE.findall(below)),
                tuple(map(read_block, blocks)),
                len(re.findall(r"^ *\|", below, re.MULTILINE)),
                tuple(_PICTURE.findall(below)),
            )
        )
    return sections


def list_prose(page: str) -> list[str]:
    """Return the lines of a page without blocks of code, and without what is in backquotes."""
    text = _FENCE.sub("", read(page)).replace("\\`", "")
    return [_CODE.sub("``", line) for line in text.splitlines()]


def list_forbidden_words() -> list[str]:
    """Return what stands in the third column of the glossary."""
    rows = [line.split("|") for line in read(GLOSSARY).splitlines() if line.startswith("| ")]
    return [word for row in rows[2:] for word in row[3].strip().split("、")]


def test_every_page_is_translated_or_known_to_be_english() -> None:
    """Whoever adds a page decides whether users read it."""
    pages = {path.stem for path in (ROOT / "docs").glob("*.md") if "." not in path.stem}

    assert {*USER_PAGES, *ENGLISH_ONLY} == pages


@pytest.mark.parametrize("page", TRANSLATED)
def test_a_translation_is_complete(page: str) -> None:
    """It has the same headings, commands, files, tables, pictures and words of code.

    If this fails after a change of an English page, change the same place of the Chinese page.
    """
    english, chinese = list_sections(page), list_sections(TRANSLATED[page])

    assert [(each.level, each.anchor) for each in english] == [
        (each.level, each.anchor) for each in chinese
    ]
    for expected, actual in zip(english, chinese, strict=True):
        where = f"{TRANSLATED[page]}#{expected.anchor}"
        assert expected.blocks == actual.blocks, where
        assert expected.code == actual.code, where
        assert expected.rows == actual.rows, where
        assert expected.pictures == actual.pictures, where


def test_the_two_readmes_lead_to_each_other() -> None:
    """Who came to the wrong one finds the other in its first lines."""
    for page, other in (("README.md", "README.zh-CN.md"), ("README.zh-CN.md", "README.md")):
        assert f"]({other})" in "".join(read(page).splitlines(keepends=True)[:5])


@pytest.mark.parametrize("page", CHINESE)
def test_links_lead_to_chinese_pages(page: str) -> None:
    """If there is one, and to a heading that it has."""
    folder = (ROOT / page).parent
    for target, anchor in _LINK.findall("\n".join(list_prose(page)[4:])):
        path = (folder / target).resolve() if target else ROOT / page
        place = str(path.relative_to(ROOT))
        assert place not in TRANSLATED, place
        if anchor:
            assert anchor in {section.anchor for section in list_sections(place)}, place


def test_words_are_those_of_the_glossary() -> None:
    """One thing has one name on all pages and in the console."""
    words = list_forbidden_words()
    found = [
        f"{page}: {word}: {line}"
        for page in (*TRANSLATED.values(), MESSAGES)
        for line in list_prose(page)
        for word in words
        if word in line
    ]
    assert words
    assert found == [], "\n".join(found)


@pytest.mark.parametrize("page", [*CHINESE, MESSAGES])
def test_chinese_is_set_well(page: str) -> None:
    """A space is between Chinese and Latin, punctuation after Chinese is wide, and bold is bold."""
    found = [
        line
        for line in list_prose(page)
        if _CROWDED.search(re.sub(r"[*_]", "", line))
        or any(
            re.match(_STOP, bold[-1]) and re.match(rf"(?!{_STOP})\S", behind)
            for bold, behind in _BOLD.findall(line)
        )
    ]
    assert found == [], "\n".join(found)


def test_a_paragraph_is_one_line() -> None:
    """Pages show a break in the source as a space, and Chinese has no spaces between words."""
    found = [
        f"{page}: {above}"
        for page in CHINESE
        for above, below in pairwise(list_prose(page))
        if re.match(_HAN, below) and above and not re.match(r"[|<#]|```", above)
    ]
    assert found == [], "\n".join(found)


def test_each_chinese_page_exists() -> None:
    """No page of another name is left over."""
    pages = {*(ROOT / "docs").glob("*.zh.md"), *ROOT.glob("*.zh-CN.md")}

    assert {ROOT / Path(page) for page in CHINESE} == pages
