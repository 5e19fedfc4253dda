"""Laws of words: names that only we understood are gone, and stay gone."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.source import FOLDERS, ROOT, Source, read_sources

# Words that were names here until the rooms were named anew (CHANGELOG.md), each with the word that
# says the same in the field's terms.
_OLD_NAMES = """
absences bailiff berth berths bury cargo chronicle conveyor courtesy crumb depot doom
doubts errand fate flight flights forecast foresee foresight foretell freight ghost
ghosts givers glance heavy intake island lend lent lull misfit misfits narrows nursery
orphan orphans parcel parcels premises purse quitters respite retell roster rotten
scarcity shelf shelve shelver shelves showcase sluggards spell steward stillborn
storehouse stumbled tape tapes waybill waybills
"""
OLD_NAMES = frozenset(_OLD_NAMES.split())
# In texts these words may also be plain English, or the name of a table or of a folder in old data.
_ALLOWED_IN_TEXTS = """
crumb doubts flight flights steward forecast glance heavy island lent spell tape tapes
intake
"""
ALLOWED_IN_TEXTS = frozenset(_ALLOWED_IN_TEXTS.split())
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def split_name(name: str) -> set[str]:
    """Return the words of an identifier, in lower case."""
    return {word.lower() for word in _WORD.findall(name)}


def list_names(source: Source) -> Iterator[tuple[int, str]]:
    """Yield every name that a file defines or uses, with its line."""
    yield 1, source.path.stem
    for node in source.nodes:
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
                yield node.lineno, name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield node.lineno, name
            case ast.ClassDef(name=name):
                yield node.lineno, name


def test_old_names_are_gone() -> None:
    """No identifier and no file has a name of ours where the field has a term."""
    found = sorted(
        {
            f"{source.place}:{line} {name}"
            for source in read_sources(*FOLDERS)
            for line, name in list_names(source)
            if not OLD_NAMES.isdisjoint(split_name(name))
        }
    )
    assert found == [], "\n".join(found)


def list_texts() -> Iterator[tuple[Path, int, str]]:
    """Yield the lines that people read: documents, settings, docstrings, comments and messages."""
    documents = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
    documents += [*(ROOT / "docs" / "decisions").glob("*.md"), *(ROOT / "config").glob("*.toml")]
    for path in (*documents, *(ROOT / "registry").rglob("*.py")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            yield path, number, line


def test_old_words_are_gone() -> None:
    """No text that people read uses one of these words for a thing that has a plain name."""
    words = OLD_NAMES - ALLOWED_IN_TEXTS
    found = [
        f"{path.relative_to(ROOT)}:{number} {line.strip()}"
        for path, number, line in list_texts()
        if not words.isdisjoint(re.findall(r"[a-z]+", line.lower()))
    ]
    assert found == [], "\n".join(found)
