"""Laws of the texts: every language has all of them, and no template has a text of its own."""

import re
import string
from html.parser import HTMLParser
from pathlib import Path

import pytest

from registry.console.languages import LANGUAGES
from registry.console.messages import load_messages, read_texts
from registry.console.rendering import FOLDER

TEMPLATES = sorted(FOLDER.glob("*.html"))
# What templates may have beside texts: signs, and names that are no words of a language.
SIGNS = re.compile(r"[\s·…\u202f\u2013]*")
_CODE = re.compile(r"\{[{%].*?[}%]\}", re.DOTALL)
_KEY = re.compile(r"""\bt\("([^"]+)"(\s*~)?""")
READ_ALOUD = ("title", "aria-label", "placeholder", "alt", "value", "label")


def list_fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_every_language_has_every_text(language: str) -> None:
    """The keys are the same in all files, and so are the values in each text."""
    english, other = read_texts("en"), read_texts(language)

    assert english.keys() == other.keys()
    assert {key: list_fields(text) for key, text in english.items()} == {
        key: list_fields(text) for key, text in other.items()
    }
    assert [key for key, text in other.items() if not text.strip()] == []


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.stem)
def test_every_text_of_a_template_exists(template: Path) -> None:
    """A key that is put together has at least one text with its beginning."""
    keys = read_texts("en").keys()
    missing = [
        key
        for key, is_open in _KEY.findall(template.read_text(encoding="utf-8"))
        if not (any(each.startswith(key) for each in keys) if is_open else key in keys)
    ]
    assert missing == []


class BareTexts(HTMLParser):
    """Collects the texts and the attributes that people read or hear."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_data(self, data: str) -> None:
        if not SIGNS.fullmatch(data):
            self.found.append(data.strip())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            is_text = name in READ_ALOUD and tag not in ("option", "rect")
            if is_text and value and re.search(r"[A-Za-z]{2}", value):
                self.found.append(f"{name}={value}")


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.stem)
def test_no_template_has_a_text_of_its_own(template: Path) -> None:
    """What is not code of the template is markup."""
    parser = BareTexts()
    parser.feed(_CODE.sub("", template.read_text(encoding="utf-8")))

    assert parser.found == []


def test_the_law_above_can_fail() -> None:
    """A text between two parts of code is found, and one in an attribute."""
    parser = BareTexts()
    parser.feed(_CODE.sub("", '<p title="A page">{{ t("a") }} Hello {% if x %}</p>'))

    assert parser.found == ["title=A page", "Hello"]


def test_one_thing_has_a_text_of_its_own() -> None:
    """English says 1 image, and 2 images."""
    messages = load_messages()["en"]

    assert messages("held.clients", n=1) == "1 client in the last hour"
    assert messages("held.clients", n=2) == "2 clients in the last hour"


def test_values_are_not_read_as_texts() -> None:
    """A name with braces stays what it is."""
    messages = load_messages()["en"]

    assert "{why.__class__}" in messages("image.kept", pin="{why.__class__}")
