"""Changing values of a table in the text of a settings file, and nothing else. Pure.

The result is compared with the former document: only these settings may differ. What cannot be
changed so is refused.
"""

import copy
import json
import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from registry.settings.values import Refusal, format_key

Value = str | Sequence[str]

_BY_HAND = "change it by hand"
_LINES = re.compile(r"[^\n]*\n|[^\n]+")  # as TOML counts them: no other sign ends a line


@dataclass(frozen=True, slots=True)
class _Statement:
    """A part of the text: a table's head, a setting with its value, or a line with neither.

    `place` is the whole name of the table or the setting; empty for other lines. `table` is the
    table that the statement is in, or that it begins.
    """

    start: int
    stop: int
    place: tuple[str, ...] = ()
    table: tuple[str, ...] = ()
    is_head: bool = False


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
    place, former = (*table, change.key), _parse(text)
    wanted = _set(former, place, change.value)
    if former == wanted:
        return text
    statements = list(_list_statements(text))
    end = "\r\n" if "\r\n" in text else "\n"
    found = [each for each in statements if each.place == place and not each.is_head]
    heads = [each for each in statements if each.place == tuple(table) and each.is_head]
    lines = "".join(f"{line}{end}" for line in format_change(change))
    if found:
        changed = _replace(text, found[0], _format(change.value).replace("\n", end))
    elif heads:
        at = _find_gap(text, statements, heads[0], change.key, above)
        changed = f"{_end_line(text[:at], end)}{lines}{text[at:]}"
    else:
        blank = end if text.strip() else ""
        changed = f"{_end_line(text, end)}{blank}[{format_key(table)}]{end}{lines}"
    if not _is_whole(changed) or _parse(changed) != wanted:
        raise Refusal(f"{format_key(place)} is written in an unusual way", _BY_HAND)
    return changed


def _format(value: Value) -> str:
    """Return a value of TOML. Lines of a list are short, so that no terminal breaks them."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if len(value) < 2:
        return json.dumps(list(value), ensure_ascii=False)
    return "\n".join(["[", *(f"  {_format(each)}," for each in value), "]"])


def _parse(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise Refusal(f"not TOML: {error}", _BY_HAND) from error


def _set(document: dict[str, Any], place: Sequence[str], value: Value) -> dict[str, Any]:
    """Return a copy of the document with the setting."""
    changed = copy.deepcopy(document)
    table = changed
    for part in place[:-1]:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise Refusal(f"{format_key(place[:-1])} is no table", _BY_HAND)
    table[place[-1]] = value if isinstance(value, str) else list(value)
    return changed


def _list_statements(text: str) -> Iterator[_Statement]:
    """Yield the statements of a valid document in order.

    The value of a setting ends with the first line after which the setting is a valid document.
    """
    lines = [(found.start(), found.end()) for found in _LINES.finditer(text)]
    table: tuple[str, ...] = ()
    at = 0
    while at < len(lines):
        start, stop = lines[at]
        line = text[start:stop].strip()
        at += 1
        if not line or line.startswith("#"):
            yield _Statement(start, stop, table=table)
            continue
        is_head = line.startswith("[")
        while (key := _read_key(text[start:stop])) is None:
            if at == len(lines):
                raise Refusal("the end of a value is not found", _BY_HAND)
            stop = lines[at][1]
            at += 1
        table = key if is_head else table
        yield _Statement(start, stop, key if is_head else (*table, *key), table, is_head)


def _read_key(statement: str) -> tuple[str, ...] | None:
    """Return the parts of the only key in a statement; None if it is not a whole statement."""
    try:
        value: Any = tomllib.loads(statement)
    except ValueError:
        return None
    equals = statement.find("=")
    parts: list[str] = []
    while isinstance(value, dict) and len(value) == 1:
        (name,) = value
        parts.append(name)
        value = value[name]
        # An inline table is a value, and its keys are no part of the name.
        if not statement.lstrip().startswith("[") and _is_name(statement, equals, parts):
            break
    return tuple(parts)


def _is_name(statement: str, equals: int, parts: Sequence[str]) -> bool:
    """Whether the text before an equals sign is the name with these parts."""
    while equals >= 0:
        try:
            named: Any = tomllib.loads(f"{statement[:equals]}= 0")
        except ValueError:  # the sign is within a quoted name
            equals = statement.find("=", equals + 1)
            continue
        for part in parts:
            named = named.get(part) if isinstance(named, dict) else None
        return bool(named == 0)
    return False


def _replace(text: str, statement: _Statement, written: str) -> str:
    """Return the text with another value in a statement; a comment behind the value stays."""
    old = text[statement.start : statement.stop]
    equals = old.find("=")
    while not _is_whole(f"{old[:equals]}= 0"):
        equals = old.find("=", equals + 1)
    begin = equals + 1 + len(old[equals + 1 :]) - len(old[equals + 1 :].lstrip(" \t"))
    ends = (at for at in range(begin + 1, len(old) + 1) if _is_whole(old[:at]))
    stop = next(at for at in ends if tomllib.loads(old[:at]) == tomllib.loads(old))
    if _has_comment(old[begin:stop]):
        raise Refusal("the list has comments, which would be lost", _BY_HAND)
    return f"{text[: statement.start]}{old[:begin]}{written}{old[stop:]}{text[statement.stop :]}"


def _is_whole(statement: str) -> bool:
    try:
        tomllib.loads(statement)
    except ValueError:
        return False
    return True


def _has_comment(value: str) -> bool:
    """Whether a value of several lines has a comment.

    A `#` within a string counts too: such a list is only refused, which does no harm.
    """
    return any("#" in line for line in value.split("\n")) and "\n" in value


def _find_gap(
    text: str, statements: Sequence[_Statement], head: _Statement, key: str, above: str
) -> int:
    """Return where a new setting goes: below its commented-out default, else below `above`.

    Without either, it goes below the head of the table.
    """
    inside = [each for each in statements if each.table == head.place]
    before = [each.stop for each in inside if each.place == (*head.place, above)]
    shown = [each.stop for each in inside if text[each.start : each.stop].startswith(f"# {key} = ")]
    return [head.stop, *before, *shown][-1]


def _end_line(text: str, end: str) -> str:
    return text if not text or text.endswith("\n") else text + end
