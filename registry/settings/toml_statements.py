"""The statements of a TOML document, with their places in its text. Pure.

With them, a text is changed at one place, and all its other lines stay as they are written.
"""

import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from registry.settings.values import Refusal

BY_HAND = "change it by hand"
_LINES = re.compile(r"[^\n]*\n|[^\n]+")  # as TOML counts them: no other sign ends a line


@dataclass(frozen=True, slots=True)
class Statement:
    """A part of the text: a table's head, a setting with its value, or a line with neither.

    `place` is the whole name of the table or the setting; empty for other lines. `table` is the
    table that the statement is in, or that it begins.
    """

    start: int
    stop: int
    place: tuple[str, ...] = ()
    table: tuple[str, ...] = ()
    is_head: bool = False


def parse_document(text: str) -> dict[str, Any]:
    """Return the values of a document.

    Raises:
        Refusal: the text is no TOML document.
    """
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise Refusal(f"not TOML: {error}", BY_HAND) from error


def list_statements(text: str) -> Iterator[Statement]:
    """Yield the statements of a valid document in order.

    The value of a setting ends with the first line after which the setting is a valid document.

    Raises:
        Refusal: the end of a value is not found.
    """
    lines = [(found.start(), found.end()) for found in _LINES.finditer(text)]
    table: tuple[str, ...] = ()
    at = 0
    while at < len(lines):
        start, stop = lines[at]
        line = text[start:stop].strip()
        at += 1
        if not line or line.startswith("#"):
            yield Statement(start, stop, table=table)
            continue
        is_head = line.startswith("[")
        while (key := _read_key(text[start:stop])) is None:
            if at == len(lines):
                raise Refusal("the end of a value is not found", BY_HAND)
            stop = lines[at][1]
            at += 1
        table = key if is_head else table
        yield Statement(start, stop, key if is_head else (*table, *key), table, is_head)


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


def find_value(text: str, statement: Statement) -> tuple[int, int]:
    """Return where the value of a setting begins and ends in the text, without a comment."""
    old = text[statement.start : statement.stop]
    equals = old.find("=")
    while not is_whole(f"{old[:equals]}= 0"):
        equals = old.find("=", equals + 1)
    begin = equals + 1 + len(old[equals + 1 :]) - len(old[equals + 1 :].lstrip(" \t"))
    ends = (at for at in range(begin + 1, len(old) + 1) if is_whole(old[:at]))
    stop = next(at for at in ends if tomllib.loads(old[:at]) == tomllib.loads(old))
    return statement.start + begin, statement.start + stop


def is_whole(statement: str) -> bool:
    """Whether a text is a valid document."""
    try:
        tomllib.loads(statement)
    except ValueError:
        return False
    return True


def end_line(text: str, end: str = "\n") -> str:
    """Return a text whose last line is ended."""
    return text if not text or text.endswith("\n") else text + end
