"""What a file of a client shall have, as data, and what that means for its values. Pure.

An edit is kept in the record of `entrepot setup`, so that it can be undone after others have
changed the file.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from registry.settings.toml_statements import BY_HAND
from registry.settings.values import Refusal, format_key

Place = tuple[str, ...]
Value = str | bool | int | tuple[str, ...]
Kind = Literal["json", "toml", "yaml", "pem"]
Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class SetValue:
    """The setting at `place` has a value; with `is_first`, a new table precedes its siblings."""

    place: Place
    value: Value
    is_first: bool = False


@dataclass(frozen=True, slots=True)
class AddItem:
    """The list at `place` has an item; if it is not there yet, it becomes the first one.

    In a file of certificates, which has no places, the item is a certificate.
    """

    place: Place
    item: str


@dataclass(frozen=True, slots=True)
class AddRegistry:
    """The list `registry` of `registries.conf` has an entry with one mirror."""

    prefix: str
    mirror: str
    is_insecure: bool

    @property
    def entry(self) -> Document:
        """The tables that podman reads for this registry, as values of TOML."""
        mirror: Document = {"location": self.mirror}
        if self.is_insecure:
            mirror["insecure"] = True
        return {"prefix": self.prefix, "location": self.prefix, "mirror": [mirror]}


Edit = SetValue | AddItem | AddRegistry
REGISTRY = "registry"  # the list of `AddRegistry`


def find(document: Mapping[str, Any], place: Place) -> Any:
    """Return the value at a place; None if there is none."""
    value: Any = document
    for part in place:
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def add(document: Document, edit: Edit) -> Document:
    """Return the values that a document has after an edit.

    Raises:
        Refusal: something else is at that place.
    """
    changed = copy.deepcopy(document)
    match edit:
        case AddRegistry():
            entries = _get_list(changed, (REGISTRY,))
            if edit.entry not in entries:
                _refuse_same_prefix(entries, edit.prefix)
                entries.append(edit.entry)
        case AddItem(place, item):
            items = _get_list(changed, place)
            if item not in items:
                items.insert(0, item)
        case SetValue(place, value, is_first):
            _get_table(changed, place[:-1])[place[-1]] = as_plain(value)
            if is_first and find(document, place[:-1]) is None:
                _move_first(_get_table(changed, place[:-2]), place[-2])
    return changed


def _move_first(table: Document, key: str) -> None:
    others = dict(table)
    table.clear()
    table[key] = others.pop(key)
    table.update(others)


def as_plain(value: Value) -> object:
    """Return a value as parsers return it."""
    return list(value) if isinstance(value, tuple) else value


def _refuse_same_prefix(entries: list[Any], prefix: str) -> None:
    names = [each.get("prefix", each.get("location")) for each in entries if isinstance(each, dict)]
    if prefix in names:
        cure = "remove it, or add the mirror to it by hand"
        raise Refusal(f"there is another [[registry]] of {prefix} already", cure)


def _get_table(document: Document, place: Place) -> Document:
    table = document
    for end, part in enumerate(place, 1):
        if part not in table:
            table[part] = {}
        table = table[part]
        if not isinstance(table, dict):
            raise Refusal(f"{format_key(place[:end])} is no table", BY_HAND)
    return table


def _get_list(document: Document, place: Place) -> list[Any]:
    table = _get_table(document, place[:-1])
    if table.get(place[-1]) is None:  # missing, or null
        table[place[-1]] = []
    items = table[place[-1]]
    if not isinstance(items, list):
        raise Refusal(f"{format_key(place)} is no list", BY_HAND)
    return items


def take_away(document: Document, edit: Edit, original: Document) -> Document:
    """Return the values without an edit; what `original` had before the edit stays.

    What others have changed since is not taken away.
    """
    place = (REGISTRY,) if isinstance(edit, AddRegistry) else edit.place
    former, now = find(original, place), find(document, place)
    changed = copy.deepcopy(document)
    if now is None:
        return changed
    table = _get_table(changed, place[:-1])
    if isinstance(edit, SetValue):
        if now == as_plain(edit.value):
            table[place[-1]] = former
    elif isinstance(now, list):
        item = edit.entry if isinstance(edit, AddRegistry) else edit.item
        had = former if isinstance(former, list) else []
        if item in now and item not in had:
            table[place[-1]].remove(item)
        if not table[place[-1]] and former is None:
            table[place[-1]] = None
    _prune(changed, place, original)
    return changed


def _prune(document: Document, place: Place, original: Document) -> None:
    """Remove the value at a place if it is None, and the new tables that are empty then."""
    for end in range(len(place), 0, -1):
        table = find(document, place[: end - 1])
        if table.get(place[end - 1]) in (None, {}) and find(original, place[:end]) is None:
            table.pop(place[end - 1], None)


def find_gone(former: Document, changed: Document, place: Place) -> Place:
    """Return the shortest part of a place that `former` had and `changed` has not; else ()."""
    for end in range(1, len(place) + 1):
        if find(changed, place[:end]) is None and find(former, place[:end]) is not None:
            return place[:end]
    return ()
