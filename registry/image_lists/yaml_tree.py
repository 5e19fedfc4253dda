"""YAML, read as a tree of texts with line numbers.

Tags are ignored, so that no text becomes a Python object. An alias counts as many nodes as its
anchor. So a text whose tree would be larger or deeper than the limits is refused before the whole
tree is made.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice
from types import MappingProxyType

import yaml

from registry.errors import ListInvalid
from registry.image_lists.location import RENDER_FIRST, Location

# The grammar is the same; with libyaml parsing is about twenty times faster.
_LOADER = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_NULL_TAGS = frozenset({"tag:yaml.org,2002:null", "!reset"})  # "!reset" is a tag of Compose
_MERGE = "<<"
_NO_FIELDS: Mapping[str, "Field"] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits for a text: `nodes` in all documents together, and `depth` of nesting.

    A list of a thousand pods from a cluster has fewer nodes than the default.
    """

    nodes: int = 500_000
    depth: int = 200

    def refuse(self, source: str, line: int) -> ListInvalid:
        """Return the error about a text that exceeds a limit at `line` (0: the whole text)."""
        why = f"more than {self.nodes} values, or {self.depth} levels, including aliases"
        return Location(source, line).refuse(why, "give it in parts")


LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Node:
    """A value: a mapping has `fields`, a sequence `items`, a scalar `text`; null has none of them.

    `line` is the line of the value; for an alias, it is the line of the anchor.
    `height` is how many levels of nodes are below it. `is_literal` says whether a text was written
    after a `|`, so that its lines are the lines of the file that follow.
    """

    line: int
    text: str | None = None
    fields: Mapping[str, "Field"] = field(default_factory=lambda: _NO_FIELDS)
    items: tuple["Node", ...] = ()
    height: int = 0
    is_literal: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether it is null, or an empty mapping or sequence."""
        return self.text is None and not self.fields and not self.items

    def find(self, *path: str) -> "Node":
        """Return the value at this path of keys; null if there is none."""
        node = self
        for name in path:
            found = node.fields.get(name)
            if found is None:
                return NOTHING
            node = found.node
        return node


@dataclass(frozen=True, slots=True)
class Field:
    """A value in a mapping, and the line of its key."""

    line: int
    node: Node


NOTHING = Node(0)


def read_documents(text: str, source: str, limits: Limits = LIMITS) -> Iterator[Node]:
    """Yield every document, the empty ones as null; merge keys (`<<`) are resolved.

    Raises:
        ListInvalid: the text is not YAML, is a template, or exceeds the limits.
    """
    yield from _TreeReader(_read_events(text, source, limits), source, limits).read()


def read_top_keys(text: str, source: str) -> Iterator[tuple[str, bool]]:
    """Yield the keys of the first document that is a mapping, and whether each has a mapping.

    The text is read only as far as the caller iterates, so that errors further down do not matter.

    Raises:
        ListInvalid: the text is not YAML, as far as it was read.
    """
    depth, key, is_inside = 0, None, False
    for event in _read_events(text, source, LIMITS):
        is_start = isinstance(event, yaml.CollectionStartEvent)
        is_value = is_start or isinstance(event, yaml.ScalarEvent | yaml.AliasEvent)
        if is_inside and depth == 1 and is_value:
            if key is None:
                key = getattr(event, "value", "")
            else:
                yield key, isinstance(event, yaml.MappingStartEvent | yaml.AliasEvent)
                key = None
        is_inside = is_inside or (not depth and isinstance(event, yaml.MappingStartEvent))
        depth += is_start - isinstance(event, yaml.CollectionEndEvent)
        if is_inside and not depth:
            return


def _read_events(text: str, source: str, limits: Limits) -> Iterator[yaml.Event]:
    stream = yaml.parse(text.removeprefix("\ufeff"), Loader=_LOADER)
    try:
        yield from islice(stream, 2 * limits.nodes)
        if next(stream, None) is not None:
            raise limits.refuse(source, 0)
    # PyYAML raises its own errors, and for wrong escapes also the errors of `int` and `chr`.
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
        cure = "correct it; indent with spaces, quote texts that begin with a special character"
        if "{{" in text:
            cure = f"correct it or, if this is a template, {RENDER_FIRST}"
        location = Location(source, mark.line + 1 if mark else 0)
        raise location.refuse(f"not YAML: {problem[:300]}", cure) from None


class _TreeReader:
    """Builds trees from events; it keeps the anchors of the document and counts the nodes."""

    def __init__(self, events: Iterator[yaml.Event], source: str, limits: Limits) -> None:
        self._events = events
        self._source = source
        self._limits = limits
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._count = 0

    def read(self) -> Iterator[Node]:
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                self._anchors = {}
                yield self._build(next(self._events), 0)

    def _build(self, event: yaml.Event, depth: int) -> Node:
        line = _line(event)
        if isinstance(event, yaml.AliasEvent):
            return self._follow(event, line, depth)
        before = self._count
        self._add(1, line, depth)
        if isinstance(event, yaml.ScalarEvent):
            text = None if _is_null(event) else event.value
            node = Node(line, text, is_literal=event.style == "|")
        elif isinstance(event, yaml.MappingStartEvent):
            node = self._build_mapping(line, depth)
        else:
            items = tuple(self._build(each, depth + 1) for each in self._members())
            node = Node(line, items=items, height=_measure(items))
        if anchor := getattr(event, "anchor", None):
            self._anchors[anchor] = node, self._count - before
        return node

    def _build_mapping(self, line: int, depth: int) -> Node:
        fields: dict[str, Field] = {}
        merged: list[Node] = []
        for event in self._members():
            key = self._build(event, depth + 1)
            if key.fields or key.items or isinstance(event, yaml.CollectionStartEvent):
                raise self._refuse_key(event)
            value = self._build(next(self._events), depth + 1)
            if key.text == _MERGE:
                merged += value.items or (value,)
            else:
                fields[key.text or ""] = Field(_line(event), value)
        own = tuple(each.node for each in fields.values())
        height = _measure(chain(own, merged))
        # A field of the mapping itself replaces a merged field; an earlier merge, a later one.
        for other in merged:
            fields |= {name: each for name, each in other.fields.items() if name not in fields}
        return Node(line, fields=fields, height=height)

    def _members(self) -> Iterator[yaml.Event]:
        for event in self._events:
            if isinstance(event, yaml.CollectionEndEvent):
                return
            yield event

    def _follow(self, event: yaml.AliasEvent, line: int, depth: int) -> Node:
        name = event.anchor or ""
        if name not in self._anchors:
            why = f"*{name[:300]} has no anchor before it, or is inside its own anchor"
            raise Location(self._source, line).refuse(why, f"write &{name[:300]} before it")
        node, size = self._anchors[name]
        self._add(size, line, depth + node.height)
        return node

    def _add(self, nodes: int, line: int, depth: int) -> None:
        self._count += nodes
        if self._count > self._limits.nodes or depth > self._limits.depth:
            raise self._limits.refuse(self._source, line)

    def _refuse_key(self, event: yaml.Event) -> ListInvalid:
        # `image: {{ .Values.image }}` is valid YAML: a mapping whose key is a mapping.
        location = Location(self._source, _line(event))
        return location.refuse("a key is not a word, as in a template", RENDER_FIRST)


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 0


def _measure(nodes: Iterator[Node] | tuple[Node, ...]) -> int:
    return 1 + max((node.height for node in nodes), default=-1)


def _is_null(event: yaml.ScalarEvent) -> bool:
    is_plain = event.implicit[0]
    return event.tag in _NULL_TAGS or (is_plain and event.value in _NULLS)
