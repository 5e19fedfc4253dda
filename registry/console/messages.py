"""The texts of the pages, in the languages that there are files of in `messages/`."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from registry.console.languages import LANGUAGES

FOLDER = Path(__file__).parent / "messages"
_ONE = ".one"  # the end of the key of a text about one thing
_EVENTS = "event."


class Messages:
    """The texts of one language, by keys such as `overview.title`."""

    def __init__(self, language: str, texts: Mapping[str, str]) -> None:
        self.language = language
        self._texts = texts

    def __call__(self, key: str, **values: object) -> str:
        """Return a text with its values.

        A text about several things has the value `n`; if that is 1, another text may be used.

        Raises:
            KeyError: there is no such text, or a value of it is missing.
        """
        if values.get("n") == 1 and key + _ONE in self._texts:
            key += _ONE
        return self._texts[key].format(**values)

    def find_event(self, event: str) -> str | None:
        """Return the words for an event of the log; None if this language has none for it."""
        return self._texts.get(_EVENTS + event)


def load_messages() -> dict[str, Messages]:
    """Read the texts of all languages."""
    return {language: Messages(language, read_texts(language)) for language in LANGUAGES}


def read_texts(language: str) -> Mapping[str, str]:
    """Return all texts of a language; the names of tables are parts of the keys."""
    document = tomllib.loads((FOLDER / f"{language}.toml").read_text(encoding="utf-8"))
    return MappingProxyType(dict(_flatten(document)))


def _flatten(table: Mapping[str, Any], head: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for key, value in table.items():
        if isinstance(value, dict):
            found += _flatten(value, f"{head}{key}.")
        else:
            found.append((f"{head}{key}", str(value)))
    return found
