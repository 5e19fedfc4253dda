"""Formatting reports as JSON for programs.

A report is a dataclass, or a sequence of dataclasses. Its fields are the fields of the JSON with
the same names: who renames a field changes the JSON. Properties are not part of the JSON.
"""

import json
import math
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from pathlib import PurePath
from typing import Any

from registry.oci.digest import Digest


def format_json(report: object) -> str:
    """Return a report as one line of JSON.

    Sizes are numbers of bytes, and times are epoch seconds. Digests and paths become strings, sets
    become sorted lists, and infinity becomes null, because JSON has no infinity.

    Raises:
        TypeError: a field has a type that no rule covers.
    """
    return json.dumps(_simplify(report))


def _simplify(value: object) -> Any:
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case Digest() | PurePath():
            return str(value)
        case Mapping():
            return {str(key): _simplify(each) for key, each in value.items()}
        case list() | tuple() | AbstractSet():
            items = [_simplify(each) for each in value]
            return sorted(items) if isinstance(value, AbstractSet) else items
        case _ if is_dataclass(value):
            return {each.name: _simplify(getattr(value, each.name)) for each in fields(value)}
    raise TypeError(f"{type(value).__name__} has no form in JSON")
