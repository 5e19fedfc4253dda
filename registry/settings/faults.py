"""Faults in settings as operators read them: the setting, the reason, and what to write instead."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import fields
from difflib import SequenceMatcher
from itertools import takewhile
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from registry.errors import SettingsError
from registry.settings.access import AccessSettings
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
from registry.settings.tables import dump, read_table
from registry.settings.upstreams import UpstreamSettings
from registry.settings.values import Refusal, format_key, quote

# The keys of a setting: ("upstreams", "docker.io", "proxy"); () is the whole document.
_AT_LINE = re.compile(r"at line (\d+), column")
_BARE_VALUE = re.compile(r"\s*[\w.]+\s*=\s*[\w./:]")  # of a key without a quoted value
Place = tuple[str, ...]
_WORD = re.compile(r"[^._]+")  # of the name of a setting or variable
_LIKENESS = 0.6  # at least, of 1, for a name to be suggested
_WITHOUT_TABLE = "offline"  # the only setting that is in no table
MAX_SHOWN = 60  # characters of a wrong value in a message
_PREFETCH = MappingProxyType(
    {"name": "nightly", "at": "02:30", "images": ["redis:7"], "lists": ["images.txt"]}
    | {"platforms": ["linux/amd64"], "max_images": 1000, "keep_pulls": 20}
)
# Our own words for the types of pydantic's errors, whose texts are for programmers.
_WORDS = MappingProxyType(
    {
        "bool_parsing": "is neither true nor false",
        "bool_type": "is neither true nor false",
        "dict_type": "is not a table",
        "float_parsing": "is not a number",
        "float_type": "is not a number",
        "greater_than": "is not more than {gt}",
        "greater_than_equal": "is less than {ge}",
        "int_from_float": "is not a whole number",
        "int_parsing": "is not a whole number",
        "int_parsing_size": "is too large",
        "int_type": "is not a whole number",
        "less_than": "is not less than {lt}",
        "less_than_equal": "is more than {le}",
        "list_type": "is not a list",
        "literal_error": "is not {expected}",
        "mapping_type": "is not a table",
        "dataclass_type": "is not a table",
        "pattern_type": "is not a regular expression",
        "string_type": "is not text in quotes",
        "tuple_type": "is not a list",
    }
)


def describe_fault(
    error: ValidationError,
    variables: Mapping[Place, tuple[str, object]],
    section: Place = (),
) -> SettingsError:
    """Return the first error in one line; it has no values that may be secret.

    `section` is the place of the table that was checked, unless that is the whole document.
    """
    first = error.errors(include_url=False)[0]
    parts = (*section, *first["loc"])
    place = tuple(part for part in parts if isinstance(part, str) and part != "[key]")
    refusal = first.get("ctx", {}).get("error")
    if isinstance(refusal, Refusal):
        why, cure = refusal.why, refusal.cure
    elif first["type"] == "unexpected_keyword_argument":
        sections = [(section.name,) for section in fields(Settings)]
        known = sections if len(place) == 1 else []
        why = "no such setting"
        cure = name_nearest(format_key(place), map(format_key, [*known, *list_places(place)]))
        if len(place) > 1 and place[-1] == _WITHOUT_TABLE:  # the last table before it took it
            cure = f"write it before the first table, such as [{place[0]}]"
    else:
        why, example = _explain(first), json.dumps(_find_example(place))
        cure = f"write for example {place[-1]} = {example}"
        if place in variables:
            cure = f"write for example {variables[place][0]}={example}"
    return SettingsError(format_key(place), why, cure)


def _explain(fault: Mapping[str, Any]) -> str:
    """Return why a value cannot be used: `'many' is not a whole number`.

    `fault` is one entry of the `errors()` of a `pydantic.ValidationError`. A value is only repeated
    if it is a text or a number: a table may contain a password.
    """
    value = fault["input"]
    shown = quote(value)[:MAX_SHOWN] if isinstance(value, str | int | float) else "this"
    words = _WORDS.get(fault["type"], "cannot be used")
    return f"{shown} {words.format(**fault.get('ctx', {}))}"


def _find_example(place: Place) -> object:
    example: Any = dump(Settings()) | {"prefetch": _PREFETCH}
    for part in place:
        example = example.get(part, example.get("docker.io"))
    return example


def build_server(**values: object) -> ServerSettings:
    """Return the settings of a server that has no settings file, from the options of a command.

    Raises:
        SettingsError: a value cannot be used; the key is that of the setting: `server.console`.
    """
    try:
        return read_table(ServerSettings, values)
    except ValidationError as error:
        raise describe_fault(error, {}, ("server",)) from error


def advise_syntax(why: str, text: str) -> str:
    """Return what to do about the error of a TOML parser, which names a line of `text`."""
    if "Cannot declare" in why:
        return "the table is there already: change it, and remove this one"
    if "Cannot overwrite" in why:
        return "the setting is there already: change it, and remove this line"
    found = _AT_LINE.search(why)
    line = text.splitlines()[int(found[1]) - 1] if found else ""
    return "put the value in quotes" if _BARE_VALUE.match(line) else "correct this line"


def find_model(place: Place) -> type[Section]:
    """Return the model of a table: of `("storage",)`, or of `("upstreams", "ghcr.io")`."""
    models: dict[str, type[Section]] = {
        "server": ServerSettings,
        "storage": StorageSettings,
        "tags": TagSettings,
        "upstreams": UpstreamSettings,
        "limits": LimitSettings,
        "access": AccessSettings,
        "bundles": BundleSettings,
        "prefetch": PrefetchSettings,
    }
    return models[place[0]] if place else Settings


def list_places(near: Place) -> list[Place]:
    """Return the places of all settings, but of the upstreams only the one that `near` names.

    Those of a prefetch are only left out if `near` is none of them: there is no single table.
    """
    upstream = near[1] if len(near) > 2 and near[0] == "upstreams" else "docker.io"
    places: list[Place] = []
    for section in [each.name for each in fields(Settings)]:
        head = ("upstreams", upstream) if section == "upstreams" else (section,)
        is_whole = section == _WITHOUT_TABLE or (section == "prefetch" and near[:-1] != head)
        names = () if is_whole else [each.name for each in fields(find_model(head))]
        places += [(*head, name) for name in names if name != "password"] or [head]
    return places


def name_nearest(wanted: str, known: Iterable[str]) -> str:
    """Return the advice for a name that does not exist: the known name that is most like it.

    If none is like it, the advice is where all settings are explained.
    """
    likeness, _, nearest = max((*_compare(wanted, name), name) for name in known)
    if likeness < _LIKENESS:
        return "config/entrepot.toml has all settings"
    return f"did you mean {nearest}?"


def _compare(wanted: str, name: str) -> tuple[float, float]:
    """Return how much two names are alike, from 0 to 1: without what both begin with, and whole.

    The tables that both are in say nothing: `server.port` is not like `server.workers`.
    """
    words, others = _WORD.findall(wanted), _WORD.findall(name)
    shared = sum(
        1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(words, others, strict=False))
    )
    rest, tail = "_".join(words[shared:]), "_".join(others[shared:])
    is_part = not tail or tail.startswith(rest) or tail.endswith(rest)
    alike = 1.0 if is_part else SequenceMatcher(None, rest, tail).ratio()
    return alike, SequenceMatcher(None, wanted, name).ratio()
