"""Changing one place in the text of a TOML file, and nothing else. Pure."""

import json
import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from registry.clients.edits import REGISTRY, AddRegistry, Document, Place, Value
from registry.clients.plan import Reader
from registry.clients.refusals import LineRefusal
from registry.settings.toml_statements import (
    BY_HAND,
    Statement,
    end_line,
    find_value,
    list_statements,
    parse_document,
)
from registry.settings.values import Refusal, format_key

_LINE = re.compile(r"at line ([0-9]+)")
_INDENT = "  "


def parse(text: str) -> Document:
    """Return the values of a file.

    Raises:
        Refusal: it is not TOML; it names the line.
    """
    try:
        return parse_document(text)
    except Refusal as error:
        found = _LINE.search(error.why)
        if found is None:
            raise
        raise LineRefusal(int(found[1]), error.why.partition(" (at line")[0], error.cure) from error


def read_file(path: PurePosixPath, read: Reader) -> Document:
    """Return the values of a file of a client; none if there is no file.

    Raises:
        Refusal: it is not TOML; the reason names the file and the line.
    """
    try:
        return parse(read(path) or "")
    except Refusal as error:
        where = f"{path}:{error.line}" if isinstance(error, LineRefusal) else str(path)
        why = f"{where}: {error.why}"
        raise Refusal(why, "correct it: no client can read it so") from error


def set_value(text: str, place: Place, value: Value, *, is_first: bool = False) -> str:
    """Return the text with a value at a place. With `is_first`, a new table precedes its siblings.

    Raises:
        Refusal: the former value is a list with comments, which would be lost.
    """
    statements = list(list_statements(text))
    found = [each for each in statements if each.place == place and not each.is_head]
    if found:
        begin, stop = find_value(text, found[0])
        if "#" in text[begin:stop] and "\n" in text[begin:stop]:
            raise Refusal(f"{format_key(place)} has comments, which would be lost", BY_HAND)
        return text[:begin] + _format(value) + text[stop:]
    table, line = place[:-1], f"{format_key(place[-1:])} = {_format(value)}\n"
    inside = [each for each in statements if each.table == table and each.place]
    if inside or not table:
        return _add_to_table(text, inside, line)
    return _add_table(text, statements, table, line, is_first=is_first)


def _format(value: Value) -> str:
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)


def _add_to_table(text: str, inside: Sequence[Statement], line: str) -> str:
    """Return the text with a new setting at the end of a table."""
    if not inside:  # the outermost table, which has no head
        return f"{line}\n{text}" if text.strip() else text + line
    last = inside[-1]
    indent = _find_indent(text, last)
    if last.is_head:
        indent += _INDENT
    return f"{end_line(text[: last.stop])}{indent}{line}{text[last.stop :]}"


def _find_indent(text: str, statement: Statement) -> str:
    line = text[statement.start : statement.stop]
    return line[: len(line) - len(line.lstrip(" \t"))]


def _add_table(
    text: str, statements: Sequence[Statement], table: Place, line: str, *, is_first: bool
) -> str:
    """Return the text with a new table that has one setting."""
    parent = table[:-1]
    family = [
        at
        for at, each in enumerate(statements)
        if parent and each.place and each.table[: len(parent)] == parent
    ]
    owner = [at for at in family if statements[at].table == parent]
    indent = _find_indent(text, statements[owner[-1]]) if owner else ""
    block = f"{indent}[{format_key(table)}]\n{indent}{_INDENT}{line}"
    siblings = [at for at in family if len(statements[at].table) > len(parent)]
    if is_first and siblings:
        at = statements[_skip_comments(text, statements, siblings[0])].start
        return f"{text[:at]}{block}\n{text[at:]}"
    at = statements[family[-1]].stop if family else len(text)
    before, after = end_line(text[:at]), text[at:]
    # As the other tables of the family stand: with an empty line between them, or without.
    is_tight = not before.strip() or (
        family and "\n\n" not in text[statements[family[0]].start : at]
    )
    gap = "" if is_tight or before.endswith("\n\n") else "\n"
    return before + gap + block + after


def _skip_comments(text: str, statements: Sequence[Statement], at: int) -> int:
    """Return the first of the comments that stand directly above a statement."""
    while at and text[statements[at - 1].start :].lstrip(" \t").startswith("#"):
        at -= 1
    return at


def insert_item(text: str, place: Place, item: str) -> str:
    """Return the text with a new first item in a list that is not empty."""
    begin, stop = _find_list(text, place)
    found = re.match(r"\[(\s*\n[ \t]*)(?=[^\s#\]])", text[begin:stop])
    gap = found[1] if found else ""
    written = f"{gap}{_format(item)},{'' if gap else ' '}"
    return text[: begin + 1] + written + text[begin + 1 :]


def remove_item(text: str, place: Place, item: str) -> str:
    """Return the text without an item of a list."""
    begin, stop = _find_list(text, place)
    written = re.escape(_format(item))
    forms = (
        rf"\n[ \t]*{written}[ \t]*,?[ \t]*(?=\n)",  # on a line of its own
        rf"{written}[ \t]*,[ \t]*",
        rf",\s*{written}",
        written,
    )
    value = text[begin:stop]
    form = next((each for each in forms if re.search(each, value)), None)
    if form is None:
        raise Refusal(f"{item} is written in an unusual way", BY_HAND)
    return text[:begin] + re.sub(form, "", value, count=1) + text[stop:]


def _find_list(text: str, place: Place) -> tuple[int, int]:
    for each in list_statements(text):
        if each.place == place and not each.is_head:
            return find_value(text, each)
    raise Refusal(f"{format_key(place)} is written in an unusual way", BY_HAND)


def remove(text: str, place: Place) -> str:
    """Return the text without a setting, or without a table and the tables in it."""
    gone = [
        each for each in list_statements(text) if each.place and each.place[: len(place)] == place
    ]
    return _cut(text, gone)


def _cut(text: str, gone: Sequence[Statement]) -> str:
    """Return the text without statements; of two empty lines that meet then, one goes too."""
    for each in reversed(gone):
        before, after = text[: each.start], text[each.stop :]
        if after.startswith("\n") and (not before or before.endswith("\n\n")):
            after = after[1:]
        if not after and before.endswith("\n\n"):
            before = before[:-1]
        text = before + after
    return text


def add_registry(text: str, edit: AddRegistry) -> str:
    """Return the text with an entry of `registries.conf` at its end."""
    lines = [
        "[[registry]]",
        f"prefix = {_format(edit.prefix)}",
        f"location = {_format(edit.prefix)}",
        "[[registry.mirror]]",
        f"location = {_format(edit.mirror)}",
    ]
    if edit.is_insecure:
        lines.append("insecure = true")
    before = end_line(text)
    gap = "\n" if before.strip() and not before.endswith("\n\n") else ""
    return before + gap + "".join(f"{line}\n" for line in lines)


def remove_registry(text: str, edit: AddRegistry) -> str:
    """Return the text without an entry of `registries.conf`; comments in it stay."""
    at = parse(text)[REGISTRY].index(edit.entry)
    number, gone = -1, []
    for each in list_statements(text):
        number += each.is_head and each.place == (REGISTRY,)
        if number == at and each.place[:1] == (REGISTRY,):
            gone.append(each)
    return _cut(text, gone)
