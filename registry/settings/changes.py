"""What a reload of the settings changes, and what only a restart can change."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from registry.settings.configuration import Configuration, Reload
from registry.settings.model import Settings
from registry.settings.tables import dump_table
from registry.settings.values import MASK, format_key

# What a server uses from its start to its end, by the table.
FIXED = (("server", ("listen", "console", "workers")), ("storage", ("path",)))

_Values = dict[tuple[str, ...], object]


def keep_fixed(former: Settings, new: Settings) -> Settings:
    """Return `new` with the values of `former` for what only a restart can change."""
    kept = {}
    for section, names in FIXED:
        values = {name: getattr(getattr(former, section), name) for name in names}
        kept[section] = replace(getattr(new, section), **values)
    return replace(new, **kept)


def compare(former: Settings, loaded: Configuration) -> Reload:
    """Return what applies when `loaded` replaces `former` in a running server."""
    settings = keep_fixed(former, loaded.settings)
    changed, pending = (
        list_changes(former, settings),
        list_changes(settings, loaded.settings),
    )
    return Reload(loaded, settings, changed, pending)


def list_changes(former: Settings, new: Settings) -> list[str]:
    """Return a line of TOML for each setting that differs, with its former value.

    No password is in it. An upstream that is only in one of both is one line.
    """
    lines = []
    for name in sorted({*former.upstreams, *new.upstreams}):
        if (name in former.upstreams) != (name in new.upstreams):
            change = "added" if name in new.upstreams else "removed"
            lines.append(f"{format_key(('upstreams', name))}: {change}")
    common = former.upstreams.keys() & new.upstreams.keys()
    old, now = _list_values(former), _list_values(new)
    old_text, new_text = _list_values(former, "json"), _list_values(new, "json")
    for place in sorted({*old, *now}):
        is_one_sided = place[0] == "upstreams" and place[1] not in common
        if is_one_sided or old.get(place) == now.get(place):
            continue
        lines.append(_format(place, old_text.get(place), new_text.get(place)))
    return lines


def _format(place: tuple[str, ...], old: object, new: object) -> str:
    key = format_key(place)
    if old == new or MASK in (old, new):  # a password, which is printed as asterisks
        return f"{key}: changed"
    if new is None:
        return f"{key}: removed"
    was = "" if old is None else f" (was {json.dumps(old, ensure_ascii=False)})"
    return f"{key} = {json.dumps(new, ensure_ascii=False)}{was}"


def _list_values(settings: Settings, mode: Literal["json", "python"] = "python") -> _Values:
    """Return the value of each setting by its keys; `mode` is that of pydantic."""
    return dict(_flatten((), dump_table(settings, mode)))


def _flatten(place: tuple[str, ...], table: Mapping[str, Any]) -> _Values:
    values: _Values = {}
    for key, value in table.items():
        # Only these are tables of settings; `storage.keep_for` is one value.
        if isinstance(value, dict) and place in ((), ("upstreams",)):
            values |= _flatten((*place, key), value)
        else:
            values[(*place, key)] = value
    return values
