"""The variables for a compose file: from the environment, and from an .env file."""

import re
from collections import ChainMap
from collections.abc import Mapping
from types import MappingProxyType

from registry.errors import ListInvalid
from registry.image_lists.interpolation import expand
from registry.image_lists.location import Location, split_lines

_BLANK = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\n|\Z)")
_BARE_NAME = re.compile(r"[ \t]*(?:export[ \t]+)?[A-Za-z_][A-Za-z0-9_.-]*[ \t]*(?:\n|\Z)")
_ASSIGNMENT = re.compile(
    r"""[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_][A-Za-z0-9_.-]*)[ \t]*[=:][ \t]*
    (?: '(?P<single>[^']*+)'        [ \t]*(?:\#[^\n]*)?
      | "(?P<double>(?:\\.|[^"\\])*+)" [ \t]*(?:\#[^\n]*)?
      | (?!['"])(?P<bare>[^\n]*)
    )(?:\n|\Z)""",
    re.VERBOSE | re.DOTALL,
)
_COMMENT = re.compile(r"(?:^|[ \t])#.*", re.DOTALL)
_ESCAPE = re.compile(r'\\([nrt"$\\])')
_ESCAPED = MappingProxyType({"n": "\n", "r": "\r", "t": "\t", "$": "$$"})


def gather_variables(
    environment: Mapping[str, str], env_text: str = "", source: str = ".env"
) -> Mapping[str, str]:
    """Return the values of variables by name; the environment comes before `env_text`.

    If a line of `env_text` uses a variable without a value, its own variable gets no value either.
    That is not an error, because most variables of an .env file are not used for images. An image
    that uses a variable without a value is refused where it is read.

    Raises:
        ListInvalid: a line of `env_text` is not an assignment, or a quote is not closed.
    """
    text = "\n".join(split_lines(env_text, source))
    shell, values = dict(environment), dict[str, str]()
    start, line = 0, 1
    while start < len(text):
        found = _ASSIGNMENT.match(text, start)
        end = found or _BLANK.match(text, start) or _BARE_NAME.match(text, start)
        location = Location(source, line)
        if end is None:
            raise location.refuse("not an assignment", "write NAME=value, or close the quote")
        if found is not None:
            value = _read_value(found, ChainMap(shell, values), location)
            values.pop(found["name"], None)
            values |= {} if value is None else {found["name"]: value}
        line += text.count("\n", start, end.end())
        start = end.end()
    return MappingProxyType(values | shell)


def _read_value(found: re.Match[str], known: Mapping[str, str], location: Location) -> str | None:
    if found["single"] is not None:
        return found["single"]
    raw = found["double"]
    if raw is None:
        raw = _COMMENT.sub("", found["bare"]).strip()
    else:
        raw = _ESCAPE.sub(lambda escape: _ESCAPED.get(escape[1], escape[1]), raw)
    try:
        expansion = expand(raw, known, location)
    except ListInvalid:
        return None
    return None if expansion.unset else expansion.text
