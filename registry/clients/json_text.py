"""Changing one place in the text of a JSON file, and nothing else. Pure.

Only settings of the outermost object are changed, such as those of dockerd.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from registry.clients.edits import Document, Place, Value
from registry.clients.refusals import refuse_at
from registry.settings.toml_statements import BY_HAND
from registry.settings.values import Refusal

_BLANKS = " \t\r\n"
_DECODER = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class _Part:
    """A member of an object or an element of a list; the value of a member begins at `value`."""

    name: str
    start: int
    value: int
    stop: int


def parse(text: str) -> Document:
    """Return the values of a file; an empty one has none.

    Raises:
        Refusal: it is not JSON, or has a setting twice; it names the line.
    """
    if not text.strip():
        return {}
    try:
        document = json.loads(text, object_pairs_hook=_refuse_twins)
    except json.JSONDecodeError as error:
        raise _explain(text, error) from error
    except Refusal:
        raise
    except (ValueError, RecursionError) as error:
        raise Refusal("it has too many levels, or digits", BY_HAND) from error
    if not isinstance(document, dict):
        raise Refusal("it is not an object of JSON", "write { } around its settings")
    return document


def _refuse_twins(pairs: list[tuple[str, Any]]) -> Document:
    document = dict(pairs)
    if len(document) < len(pairs):
        names = [name for name, _ in pairs]
        twin = next(name for name in names if names.count(name) > 1)
        raise Refusal(f"it has {json.dumps(twin)} twice", "remove one of them")
    return document


def _explain(text: str, error: json.JSONDecodeError) -> Refusal:
    """Say what is wrong in the words of people who edit such files."""
    at = error.pos
    if text.startswith(("//", "/*", "#"), at):
        return refuse_at(text, at, "it has a comment, which JSON does not allow", "remove it")
    before = text[:at].rstrip(_BLANKS)
    if text[at : at + 1] in ("}", "]") and before.endswith(","):
        at = len(before) - 1
    if text[at : at + 1] == "," and text[at + 1 :].lstrip(_BLANKS)[:1] in ("}", "]"):
        return refuse_at(text, at, "it has a comma after the last value", "remove it")
    return refuse_at(text, at, f"it is not JSON ({error.msg})", "correct it")


def set_value(text: str, place: Place, value: Value, *, is_first: bool = False) -> str:
    """Return the text with a value at a place; a new setting becomes the last one."""
    del is_first  # the order of settings means nothing here
    (name,) = place
    written = json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)
    if not text.strip():
        text = "{}\n"
    opening = _find_start(text)
    parts, closing = _list_parts(text, opening)
    found = [each for each in parts if each.name == name]
    if found:
        return text[: found[0].value] + written + text[found[0].stop :]
    member = f"{json.dumps(name)}: {written}"
    if not parts:
        return f"{text[: opening + 1]}\n  {member}\n{text[closing:]}"
    gap = _find_gap(text, opening, parts)
    return f"{text[: parts[-1].stop]},{gap}{member}{text[parts[-1].stop :]}"


def insert_item(text: str, place: Place, item: str) -> str:
    """Return the text with a new first item in a list that is not empty."""
    opening, parts, _ = _find_list(text, place)
    gap, first = _find_gap(text, opening, parts), parts[0].start
    return f"{text[:first]}{json.dumps(item, ensure_ascii=False)},{gap}{text[first:]}"


def remove_item(text: str, place: Place, item: str) -> str:
    """Return the text without an item of a list."""
    opening, parts, closing = _find_list(text, place)
    values = [json.loads(text[each.value : each.stop]) for each in parts]
    return _cut(text, opening, parts, closing, values.index(item))


def remove(text: str, place: Place) -> str:
    """Return the text without a setting."""
    opening = _find_start(text)
    parts, closing = _list_parts(text, opening)
    return _cut(text, opening, parts, closing, [each.name for each in parts].index(place[0]))


def _find_start(text: str) -> int:
    return len(text) - len(text.lstrip(_BLANKS))


def _find_list(text: str, place: Place) -> tuple[int, list[_Part], int]:
    """Return where a list begins, its elements, and where it ends."""
    members, _ = _list_parts(text, _find_start(text))
    opening = next(each.value for each in members if each.name == place[0])
    return opening, *_list_parts(text, opening)


def _list_parts(text: str, opening: int) -> tuple[list[_Part], int]:
    """Return the parts of the object or list that begins at `opening`, and where it ends."""
    is_object = text[opening] == "{"
    parts: list[_Part] = []
    at = _skip(text, opening + 1)
    while text[at] not in "}]":
        start, name = at, ""
        if is_object:
            name, at = _DECODER.raw_decode(text, at)
            at = _skip(text, _skip(text, at) + 1)  # behind the colon
        _, stop = _DECODER.raw_decode(text, at)
        parts.append(_Part(name, start, at, stop))
        at = _skip(text, stop)
        if text[at] == ",":
            at = _skip(text, at + 1)
    return parts, at


def _skip(text: str, at: int) -> int:
    while text[at] in _BLANKS:
        at += 1
    return at


def _find_gap(text: str, opening: int, parts: Sequence[_Part]) -> str:
    """Return what stands between two parts: a line break, as before the first one, or a blank."""
    gap = text[opening + 1 : parts[0].start]
    return gap if "\n" in gap else " "


def _cut(text: str, opening: int, parts: Sequence[_Part], closing: int, at: int) -> str:
    """Return the text without one of the parts, and without one comma."""
    if len(parts) == 1:
        return text[: opening + 1] + text[closing:]
    if at + 1 == len(parts):
        return text[: parts[at - 1].stop] + text[parts[at].stop :]
    return text[: parts[at].start] + text[parts[at + 1].start :]
