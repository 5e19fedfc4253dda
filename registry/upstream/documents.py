"""JSON documents that upstreams send, within bounds. Pure."""

import json
import math
from typing import Any, NoReturn

MAX_VALUES = 400_000  # of one document: each takes 50 bytes of memory or more
MAX_DEPTH = 32  # lists and objects in each other


def read_json(body: bytes) -> Any:
    """Return the value of a JSON document.

    Raises:
        ValueError: it is not JSON; or it has too many values, or numbers that JSON does not have
            (`NaN`), or that no program can write as JSON again (`1e999`).
    """
    # Each value is after a comma, or the first one in a list or object.
    if body.count(b",") + body.count(b"[") + body.count(b"{") > MAX_VALUES:
        raise ValueError(f"more than {MAX_VALUES} values")
    try:
        return json.loads(body, parse_constant=_refuse_number, parse_float=_read_float)
    except RecursionError as error:
        raise ValueError("lists and objects are nested too deeply") from error


def is_shallow(value: object) -> bool:
    """Whether at most `MAX_DEPTH` lists and objects are in each other."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [inner for each in level for inner in _list_inner(each)]
        if not level:
            return True
    return False


def _list_inner(value: object) -> list[Any]:
    """Return the lists and objects that are directly in a value."""
    if isinstance(value, dict):
        return [each for each in value.values() if isinstance(each, dict | list)]
    if isinstance(value, list):
        return [each for each in value if isinstance(each, dict | list)]
    return []


def _read_float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        _refuse_number(text)
    return number


def _refuse_number(text: str) -> NoReturn:
    raise ValueError(f"the number {text[:20]}")
