"""Edits of the text of a client's file: made, and taken back, without a change to anything else.

Each step is checked: the values of the new text are those that the edit means, and no others have
changed. What cannot be changed so is refused. Pure.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Protocol

from registry.clients import json_text, pem_text, toml_text, yaml_text
from registry.clients.edits import (
    REGISTRY,
    AddItem,
    AddRegistry,
    Document,
    Edit,
    Kind,
    Place,
    SetValue,
    Value,
    add,
    find,
    find_gone,
    take_away,
)
from registry.settings.toml_statements import BY_HAND
from registry.settings.values import Refusal, format_key

_MOST_NEW = 64  # new files that are remembered
_MARK = "\ufeff"  # some editors of Windows begin a file with it


class _Format(Protocol):
    """How files of a kind are read and changed."""

    def parse(self, text: str) -> Document:
        """Return the values."""

    def set_value(self, text: str, place: Place, value: Value, *, is_first: bool = False) -> str:
        """Return the text with a value at a place."""

    def insert_item(self, text: str, place: Place, item: str) -> str:
        """Return the text with a new first item in a list that is not empty."""

    def remove_item(self, text: str, place: Place, item: str) -> str:
        """Return the text without an item of a list."""

    def remove(self, text: str, place: Place) -> str:
        """Return the text without what is at a place."""


_FORMATS: Mapping[Kind, _Format] = MappingProxyType(
    {"json": json_text, "toml": toml_text, "yaml": yaml_text}
)


def merge(kind: Kind, text: str, edits: Sequence[Edit]) -> str:
    """Return the text of a file after these edits; the same text if it has them all.

    Raises:
        Refusal: the file cannot be changed so; it says why, and for some reasons names the line.
    """
    return _keep_form(text, lambda plain: _merge(kind, plain, edits))


def withdraw(kind: Kind, text: str, edits: Sequence[Edit], original: str) -> str:
    """Return the text without these edits, after others have changed the file too.

    `original` is the text before the edits: what it has stays.

    Raises:
        Refusal: the file cannot be changed so.
    """
    former = original.removeprefix(_MARK).replace("\r\n", "\n")
    return _keep_form(text, lambda plain: _withdraw(kind, plain, edits, former))


def _keep_form(text: str, change: Callable[[str], str]) -> str:
    """Change a text as if its lines ended with a line feed only, and it began without a mark."""
    mark = _MARK if text.startswith(_MARK) else ""
    plain = text.removeprefix(_MARK)
    has_returns = plain.count("\r\n") > 0 and plain.count("\r\n") == plain.count("\n")
    if not has_returns:
        return mark + change(plain)
    return mark + change(plain.replace("\r\n", "\n")).replace("\n", "\r\n")


def _merge(kind: Kind, text: str, edits: Sequence[Edit]) -> str:
    if kind == "pem":
        for edit in edits:
            text = pem_text.add_certificate(text, edit.item) if isinstance(edit, AddItem) else text
        return text
    if not text:
        return _write_new(kind, tuple(edits))
    form = _FORMATS[kind]
    for edit in edits:
        former = form.parse(text)
        wanted = add(former, edit)
        if wanted != former:
            text = _check(form, _apply(form, text, former, edit), wanted, edit)
    return text


@lru_cache(_MOST_NEW)
def _write_new(kind: Kind, edits: tuple[Edit, ...]) -> str:
    """Return the text of a new file. It is checked once: there is nothing of others in it.

    Pages show such files, and whoever asks for a page must not keep a worker from pulls.
    """
    form, text, values = _FORMATS[kind], "", Document()
    for edit in edits:
        former, values = values, add(values, edit)
        if values != former and kind != "yaml":
            text = _apply(form, text, former, edit)
    if kind == "yaml":
        text = yaml_text.write(values)
    ordered = (each for each in edits if isinstance(each, SetValue) and each.is_first)
    for edit in (*edits[:1], *ordered):
        _check(form, text, values, edit)
    return text


def _apply(form: _Format, text: str, former: Document, edit: Edit) -> str:
    match edit:
        case AddRegistry():
            return toml_text.add_registry(text, edit)
        case AddItem(place, item):
            if find(former, place):
                return form.insert_item(text, place, item)
            return form.set_value(text, place, (item,))
        case SetValue(place, value, is_first):
            return form.set_value(text, place, value, is_first=is_first)


def _withdraw(kind: Kind, text: str, edits: Sequence[Edit], original: str) -> str:
    if kind == "pem":
        for edit in edits:
            if isinstance(edit, AddItem) and edit.item not in original:
                text = pem_text.remove_certificate(text, edit.item)
        return text
    form = _FORMATS[kind]
    before = form.parse(original)
    for edit in reversed(edits):
        former = form.parse(text)
        wanted = take_away(former, edit, before)
        if wanted != former:
            text = _check(form, _take(form, text, former, wanted, edit), wanted, edit)
    return text


def _take(form: _Format, text: str, former: Document, wanted: Document, edit: Edit) -> str:
    if isinstance(edit, AddRegistry):
        return toml_text.remove_registry(text, edit)
    gone = find_gone(former, wanted, edit.place)
    if gone:
        return form.remove(text, gone)
    if isinstance(edit, AddItem) and find(wanted, edit.place):
        return form.remove_item(text, edit.place, edit.item)
    value = find(wanted, edit.place)
    return form.set_value(text, edit.place, tuple(value) if isinstance(value, list) else value)


def _check(form: _Format, text: str, wanted: Document, edit: Edit) -> str:
    """Return a new text if its values are those that are wanted."""
    place = (REGISTRY,) if isinstance(edit, AddRegistry) else edit.place
    try:
        found = form.parse(text)
        is_ordered = isinstance(edit, SetValue) and edit.is_first
        tables = [find(each, place[:-2]) or {} for each in (found, wanted) if is_ordered]
        siblings = [tuple(table) for table in tables]
        if found == wanted and len({*siblings}) < 2:
            return text
    except Refusal:
        pass  # what cannot be read is not what is wanted
    raise Refusal(f"{format_key(place)} is written in an unusual way", BY_HAND)
