"""What may be written for a setting, in words: by the annotation of its field."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Interval, Le

from registry.settings.fields import Form
from registry.settings.rates import parse_rate
from registry.settings.values import (
    compile_pattern,
    format_duration,
    format_size,
    parse_address,
    parse_duration,
    parse_size,
)

_READ: dict[Any, str] = {
    parse_size: "size",
    parse_duration: "duration",
    parse_address: "address (host:port)",
    parse_rate: "rate",
    compile_pattern: "regular expression",
}
_PLAIN: dict[Any, str] = {bool: "true or false", int: "whole number", str: "text", Path: "path"}
_FORMATS: dict[str, Callable[[Any], str]] = {
    "size": format_size,
    "duration": lambda bound: format_duration(float(bound)),
}


def describe_kind(annotation: Any) -> str:
    """Return for example "whole number, 1 to 16", or "list of texts"."""
    if get_origin(annotation) is Annotated:
        inner, *remarks = get_args(annotation)
        read = [each.read for each in remarks if isinstance(each, Form) and each.read in _READ]
        kind = _READ[read[0]] if read else describe_kind(inner)
        bounds = [_describe_bounds(each, _FORMATS.get(kind, "{:,}".format)) for each in remarks]
        return ", ".join([kind, *filter(None, bounds)])
    return _describe_type(annotation)


def _describe_type(annotation: Any) -> str:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " or ".join(f'`"{each}"`' for each in inner)
    if origin is tuple:
        return f"list of {_name_many(inner[0])}"
    if origin is Mapping:
        return f"table of {_name_many(inner[1])}"
    if origin is UnionType:
        return describe_kind(inner[0])
    return _PLAIN[annotation]


def _name_many(annotation: Any) -> str:
    kind = describe_kind(annotation)
    return kind if kind.startswith(("`", "list")) else f"{kind}s"


def _describe_bounds(remark: object, form: Callable[[Any], str]) -> str:
    match remark:
        case Interval(ge=low, gt=above, le=high) if high is not None:
            return (
                f"more than {form(above)}, at most {form(high)}"
                if low is None
                else (f"{form(low)} to {form(high)}")
            )
        case Interval(ge=low) | Ge(ge=low):
            return f"at least {form(low)}"
        case Gt(gt=above):
            return f"more than {form(above)}"
        case Le(le=high):
            return f"at most {form(high)}"
    return ""
