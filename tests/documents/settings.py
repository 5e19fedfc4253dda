"""docs/settings.md: each setting with its kind, default and variable, and what explains it."""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields
from typing import Any, get_type_hints

from registry.settings.access import AccessRuleSettings, AccessSettings
from registry.settings.changes import FIXED
from registry.settings.fields import Section
from registry.settings.model import (
    BundleSettings,
    LimitSettings,
    ServerSettings,
    Settings,
    StorageSettings,
    TagSettings,
)
from registry.settings.prefetch import PrefetchSettings
from registry.settings.upstreams import UpstreamSettings
from tests.documents.kinds import describe_kind
from tests.documents.places import SHIPPED
from tests.documents.shipped_file import Comment, Piece, read_head, read_pieces

_HEAD = """\
# Settings

<!-- Written by `python -m tests.documents` from config/entrepot.toml and the code. -->

Each setting with its default, what may be written for it, and the variable that sets it.
`entrepot config init` writes a file of your own with these texts; each value is commented out.

"""
_TABLES: dict[str, type[Section]] = {
    "": Settings,
    "server": ServerSettings,
    "storage": StorageSettings,
    "tags": TagSettings,
    "limits": LimitSettings,
    "bundles": BundleSettings,
    'upstreams."docker.io"': UpstreamSettings,
    "access": AccessSettings,
}
# Tables that people write themselves: the line that begins one, and its fields.
_OWN_TABLES: dict[str, type[Section]] = {
    "[[access.rules]]": AccessRuleSettings,
    "[[prefetch]]": PrefetchSettings,
}
_LISTED = re.compile(r"([A-Z][a-z]+): +(.*)")
_PAGE = re.compile(r"\bdocs/([a-z-]+\.md)")


def build_settings_page() -> str:
    """Return the text of the page."""
    text = SHIPPED.read_text(encoding="utf-8")
    parts = [_HEAD, *map(_write_comment, read_head(text)[1:])]
    table = ""
    for piece in read_pieces(text):
        if piece.begins:
            table = piece.begins.strip("[]")
            parts.append(f"## {_name_table(table)}\n\n")
        parts += _write_piece(piece, table)
    return "".join(parts).rstrip("\n") + "\n"


def _name_table(table: str) -> str:
    return '[upstreams."NAME"]' if table.startswith("upstreams") else f"[{table}]"


def _write_piece(piece: Piece, table: str) -> Iterator[str]:
    first = next((each.lines[0] for each in piece.comments if each.is_example), "")
    if piece.values:
        level = "###" if table else "##"
        yield f"{level} {', '.join(_name_setting(table, name) for name in piece.values)}\n\n"
        for name, value in piece.values.items():
            yield _write_facts(table, name, f"`{name} = {value}`")
        yield "\n"
    elif first in _OWN_TABLES:
        yield f"### {first}\n\n"
    elif first and not piece.begins and not first.startswith("[upstreams"):
        name = first.strip("[]").partition(" = ")[0].removeprefix(f"{table}.")
        yield f"### {_name_setting(table, name)}\n\n{_write_facts(table, name)}\n"
    yield from map(_write_comment, piece.comments)
    if first in _OWN_TABLES:
        yield _write_fields(_OWN_TABLES[first])


def _name_setting(table: str, name: str) -> str:
    section = "upstreams.NAME" if table.startswith("upstreams") else table
    return f"{section}.{name}" if section else name


def _write_facts(table: str, name: str, *facts: str) -> str:
    kind = describe_kind(get_type_hints(_TABLES[table], include_extras=True)[name])
    section = table.replace('"', "").replace(".", "__", 1).replace(".", "_").upper()
    variable = "__".join(filter(None, (section, name.upper())))
    facts = (*facts, kind, f"`ENTREPOT_{variable}`")
    if name in dict(FIXED).get(table, ()):
        facts = (*facts, "changes only with a restart")
    return f"- {' · '.join(facts)}\n"


def _write_comment(comment: Comment) -> str:
    if comment.is_example:
        language = "toml" if _is_toml("\n".join(comment.lines)) else "text"
        return "\n".join((f"```{language}", *comment.lines, "```\n\n"))
    if all(_LISTED.fullmatch(line) for line in comment.lines):
        found = [_LISTED.sub(r"- \1: \2", line) for line in comment.lines]
        return "\n".join([*map(_escape, found), "\n"])
    return _escape("\n".join(comment.lines)) + "\n\n"


def _is_toml(text: str) -> bool:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    return True


def _escape(text: str) -> str:
    """Return sentences in Markdown: what stands in backquotes stays, pages become links."""
    pieces = re.split(r"(`[^`]*`)", text)
    pieces[::2] = [re.sub(r"([*\[\]])", r"\\\1", each) for each in pieces[::2]]
    pieces[::2] = [_PAGE.sub(r"[\1](\1)", each.replace("<", "&lt;")) for each in pieces[::2]]
    return "".join(pieces)


def _write_fields(model: type[Section]) -> str:
    hints = get_type_hints(model, include_extras=True)
    rows = [
        f"| `{each.name}` | {describe_kind(hints[each.name])} | {_write_default(each)} |\n"
        for each in fields(model)
    ]
    return "".join(["| key | what is written | default |\n| --- | --- | --- |\n", *rows, "\n"])


def _write_default(setting: Field[Any]) -> str:
    if setting.default is MISSING:
        return "has to be written"
    value: Any = setting.default
    return (
        f"`{list(value)}`".replace("'", '"')
        if value and isinstance(value, tuple)
        else (f"`{value:g}`" if value and not isinstance(value, str) else "none")
    )
