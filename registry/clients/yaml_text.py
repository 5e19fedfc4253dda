"""Changing one place in the text of a YAML file, and nothing else. Pure."""

import json
import re
from collections.abc import Sequence
from typing import Any

import yaml

from registry.clients.edits import Document, Place, Value
from registry.clients.refusals import LineRefusal
from registry.settings.toml_statements import BY_HAND, end_line
from registry.settings.values import Refusal, format_key

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9._/-]*")
_INDENT = "  "
# What PyYAML raises for other texts: wrong tags (`!!int ""`), values that contain themselves.
_ODD = (yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError)


def parse(text: str) -> Document:
    """Return the values of a file; an empty one has none.

    Raises:
        Refusal: it is not YAML, or has no table of settings; it names the line.
    """
    try:
        document = _fill(yaml.safe_load(text))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise LineRefusal(line, f"it is not YAML ({error.problem})", "correct it") from error
    except _ODD as error:
        raise Refusal("it is not YAML", BY_HAND) from error
    if not isinstance(document, dict):
        raise Refusal("it has no settings with names", BY_HAND)
    return document


def _fill(value: Any) -> Any:
    """Return a value with an empty table for each name without a value, which means the same."""
    if isinstance(value, dict):
        return {key: _fill(each) for key, each in value.items()}
    if isinstance(value, list):
        return [each if each is None else _fill(each) for each in value]
    return {} if value is None else value


def write(document: Document, indent: str = "") -> str:
    """Return the text of tables, lists of texts, and single values."""
    text = ""
    for key, value in document.items():
        if isinstance(value, dict):
            text += f"{indent}{_format_key(key)}:\n{write(value, indent + _INDENT)}"
        else:
            text += f"{indent}{_format_key(key)}: {_format(value)}\n"
    return text


def set_value(text: str, place: Place, value: Value, *, is_first: bool = False) -> str:
    """Return the text with a value at a place; a new setting becomes the last one."""
    del is_first  # the order of settings means nothing here
    node, depth = _find(text, place)
    written = _format(value)
    if depth == len(place):
        start, stop = _get_span(node)
        return text[:start] + (" " if start == stop else "") + written + text[stop:]
    keys = [_format_key(part) for part in place[depth:]]
    if isinstance(node, yaml.MappingNode) and node.flow_style:
        at = node.start_mark.index + 1
        nested = "".join(f"{{{key}: " for key in keys)[1:] + written + "}" * (len(keys) - 1)
        return text[:at] + nested + (", " if node.value else "") + text[at:]
    if isinstance(node, yaml.MappingNode) and node.value:
        column, at = node.start_mark.column, _find_line_end(text, _find_end(node))
    else:  # the whole file is empty, or the value of a key is
        column = 0 if not depth else _find_column(text, place[:depth]) + len(_INDENT)
        at = _find_line_end(text, node.end_mark.index) if node is not None else len(text)
    before, lines = end_line(text[:at]), ""
    for number, key in enumerate(keys):
        end = f" {written}" if number + 1 == len(keys) else ""
        lines += f"{' ' * column}{_INDENT * number}{key}:{end}\n"
    return before + lines + text[at:]


def _format(value: Value) -> str:
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)


def _format_key(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else json.dumps(text)


def insert_item(text: str, place: Place, item: str) -> str:
    """Return the text with a new first item in a list that is not empty."""
    node = _find_list(text, place)
    at, written = node.start_mark.index, _format(item)
    if node.flow_style:
        return f"{text[: at + 1]}{written}, {text[at + 1 :]}"
    return f"{text[:at]}- {written}\n{' ' * node.start_mark.column}{text[at:]}"


def remove_item(text: str, place: Place, item: str) -> str:
    """Return the text without an item of a list that has others too."""
    node = _find_list(text, place)
    at = [getattr(each, "value", None) for each in node.value].index(item)
    if node.flow_style:
        return _cut_flow(text, [_get_span(each) for each in node.value], at)
    return _cut_lines(text, node.value[at].start_mark.index, _find_end(node.value[at]))


def remove(text: str, place: Place) -> str:
    """Return the text without a setting."""
    parent, depth = _find(text, place[:-1])
    if depth < len(place) - 1 or not isinstance(parent, yaml.MappingNode):
        raise Refusal(f"{format_key(place)} is written in an unusual way", BY_HAND)
    at = [key.value for key, _ in parent.value].index(place[-1])
    if parent.flow_style:
        spans = [(key.start_mark.index, _get_span(value)[1]) for key, value in parent.value]
        return _cut_flow(text, spans, at)
    key, value = parent.value[at]
    return _cut_lines(text, key.start_mark.index, _find_end(value))


def _find(text: str, place: Place) -> tuple[yaml.Node | None, int]:
    """Return the innermost node along a place, and how many parts of the place lead to it."""
    node: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    for depth, part in enumerate(place):
        values = node.value if isinstance(node, yaml.MappingNode) else []
        inner = next((value for key, value in values if key.value == part), None)
        if inner is None:
            return node, depth
        node = inner
    return node, len(place)


def _find_list(text: str, place: Place) -> yaml.SequenceNode:
    node, depth = _find(text, place)
    if depth < len(place) or not isinstance(node, yaml.SequenceNode):
        raise Refusal(f"{format_key(place)} is written in an unusual way", BY_HAND)
    return node


def _find_column(text: str, place: Place) -> int:
    """Return the column of the key at a place."""
    parent, _ = _find(text, place[:-1])
    keys = [key for key, _ in parent.value if key.value == place[-1]] if parent else []
    return int(keys[0].start_mark.column)


def _get_span(node: yaml.Node | None) -> tuple[int, int]:
    return (node.start_mark.index, node.end_mark.index) if node is not None else (0, 0)


def _find_end(node: yaml.Node) -> int:
    """Return where the text of a node ends, without the comments and blank lines behind it."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        if isinstance(node, yaml.SequenceNode):
            return _find_end(last)
        # The value may stand elsewhere: `*name` has the place of `&name`.
        return max(int(last[0].end_mark.index), _find_end(last[1]))
    return int(node.end_mark.index)


def _find_line_end(text: str, at: int) -> int:
    """Return where the line of a place ends. At the beginning of a line, the former line ends."""
    if at and text[at - 1] == "\n":
        return at
    found = text.find("\n", at)
    return len(text) if found < 0 else found + 1


def _cut_lines(text: str, start: int, stop: int) -> str:
    """Return the text without all lines from one place to another."""
    return text[: text.rfind("\n", 0, start) + 1] + text[_find_line_end(text, stop) :]


def _cut_flow(text: str, spans: Sequence[tuple[int, int]], at: int) -> str:
    """Return the text without one part of a list or table in brackets, and without one comma."""
    if len(spans) == 1:
        return text[: spans[0][0]] + text[spans[0][1] :]
    if at + 1 == len(spans):
        return text[: spans[at - 1][1]] + text[spans[at][1] :]
    return text[: spans[at][0]] + text[spans[at + 1][0] :]
