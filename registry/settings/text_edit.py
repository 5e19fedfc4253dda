"""Changing values of a table in the text of a settings file, and nothing else. Pure.

The result is compared with the former document: only these settings may differ. What cannot be
changed so is refused.
"""

import copy
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from registry.settings.toml_statements import (
    BY_HAND,
    Statement,
    end_line,
    find_value,
    is_whole,
    list_statements,
    parse_document,
)
from registry.settings.values import Refusal, format_key

Value = str | Sequence[str]


@dataclass(frozen=True, slots=True)
class Change:
    """A setting `key` of a table and its new value; `comment` has the lines above a new setting."""

    key: str
    value: Value
    comment: tuple[str, ...] = ()


def format_change(change: Change) -> list[str]:
    """Return the lines of a changed setting; a list of several texts has a line for each."""
    above = [f"# {line}" for line in change.comment]
    return [*above, *f"{format_key((change.key,))} = {_format(change.value)}".split("\n")]


def set_values(text: str, table: Sequence[str], changes: Sequence[Change]) -> str:
    """Return the text of a TOML document with changed settings of one table.

    A missing setting is added to its table, below the line with its commented-out default if there
    is one, else below the setting that was changed before it; a missing table is added at the end.

    Raises:
        Refusal: the text is no TOML document, or a setting is written in a way that cannot be
            changed without a change to something else, such as the comments within a list.
    """
    former = ""
    for change in changes:
        text = _set_one(text, table, change, former)
        former = change.key
    return text


def _set_one(text: str, table: Sequence[str], change: Change, above: str) -> str:
    place, former = (*table, change.key), parse_document(text)
    wanted = _set(former, place, change.value)
    if former == wanted:
        return text
    statements = list(list_statements(text))
    end = "\r\n" if "\r\n" in text else "\n"
    found = [each for each in statements if each.place == place and not each.is_head]
    heads = [each for each in statements if each.place == tuple(table) and each.is_head]
    lines = "".join(f"{line}{end}" for line in format_change(change))
    if found:
        changed = _replace(text, found[0], _format(change.value).replace("\n", end))
    elif heads:
        at = _find_gap(text, statements, heads[0], change.key, above)
        changed = f"{end_line(text[:at], end)}{lines}{text[at:]}"
    else:
        blank = end if text.strip() else ""
        changed = f"{end_line(text, end)}{blank}[{format_key(table)}]{end}{lines}"
    if not is_whole(changed) or parse_document(changed) != wanted:
        raise Refusal(f"{format_key(place)} is written in an unusual way", BY_HAND)
    return changed


def _format(value: Value) -> str:
    """Return a value of TOML. Lines of a list are short, so that no terminal breaks them."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if len(value) < 2:
        return json.dumps(list(value), ensure_ascii=False)
    return "\n".join(["[", *(f"  {_format(each)}," for each in value), "]"])


def _set(document: dict[str, Any], place: Sequence[str], value: Value) -> dict[str, Any]:
    """Return a copy of the document with the setting."""
    changed = copy.deepcopy(document)
    table = changed
    for part in place[:-1]:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise Refusal(f"{format_key(place[:-1])} is no table", BY_HAND)
    table[place[-1]] = value if isinstance(value, str) else list(value)
    return changed


def _replace(text: str, statement: Statement, written: str) -> str:
    """Return the text with another value in a statement; a comment behind the value stays."""
    begin, stop = find_value(text, statement)
    if _has_comment(text[begin:stop]):
        raise Refusal("the list has comments, which would be lost", BY_HAND)
    return f"{text[:begin]}{written}{text[stop:]}"


def _has_comment(value: str) -> bool:
    """Whether a value of several lines has a comment.

    A `#` within a string counts too: such a list is only refused, which does no harm.
    """
    return any("#" in line for line in value.split("\n")) and "\n" in value


def _find_gap(
    text: str, statements: Sequence[Statement], head: Statement, key: str, above: str
) -> int:
    """Return where a new setting goes: below its commented-out default, else below `above`.

    Without either, it goes below the head of the table.
    """
    inside = [each for each in statements if each.table == head.place]
    before = [each.stop for each in inside if each.place == (*head.place, above)]
    shown = [each.stop for each in inside if text[each.start : each.stop].startswith(f"# {key} = ")]
    return [head.stop, *before, *shown][-1]
