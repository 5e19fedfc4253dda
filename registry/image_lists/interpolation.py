"""Variables in compose and .env files: `$A`, `${A}`, and defaults for variables without a value."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from registry.errors import ListInvalid
from registry.image_lists.location import Location

# No image is longer. Without a limit, values that contain other values could become very long.
MAX_LENGTH = 4096
_MAX_DEPTH = 10
_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_OPERATOR = re.compile(r":?[-+?]")
_BRACE = re.compile(r"\$\{|\}")
_VARIABLE = re.compile(rf"\$(?:(?P<literal>\$)|(?P<name>{_NAME})|\{{(?P<braced>{_NAME}))")


@dataclass(frozen=True, slots=True)
class Expansion:
    """A text after its variables were replaced; variables in `unset` had no value."""

    text: str
    unset: tuple[str, ...] = ()


def expand(text: str, variables: Mapping[str, str], location: Location) -> Expansion:
    """Replace `$A`, `${A}`, `${A:-word}`, `${A-word}`, and the same with `:+`, `+`, `:?`, `?`.

    `$$` is a dollar sign. The word of a default may contain variables; values of variables are not
    expanded again.

    Raises:
        ListInvalid: a brace is not closed, the operator is unknown, defaults are nested too deep, a
            variable with `?` has no value, or there are more than 4096 characters.
    """
    if len(text) > MAX_LENGTH:
        raise _refuse_length(location)
    if "$" not in text:
        return Expansion(text)
    return _Expander(variables, location).expand(text, _MAX_DEPTH)


@dataclass(frozen=True, slots=True)
class _Expander:
    variables: Mapping[str, str]
    location: Location

    def expand(self, text: str, depth: int) -> Expansion:
        if not depth:
            raise self.location.refuse(
                f"more than {_MAX_DEPTH} defaults inside each other", "write the value"
            )
        parts: list[str] = []
        unset: list[str] = []
        start = length = 0
        while found := _VARIABLE.search(text, start):
            parts.append(text[start : found.start()])
            if name := found["braced"]:
                end = self._find_end(text, found.end())
                value = self._resolve(name, text[found.end() : end], depth)
                start = end + 1
            else:
                value = self._resolve(found["name"], "", depth) if found["name"] else Expansion("")
                start = found.end()
            parts.append(found["literal"] or value.text)
            unset += value.unset
            length += len(parts[-1]) + len(parts[-2])
            if length > MAX_LENGTH:
                break
        length += len(text) - start
        if length > MAX_LENGTH:
            raise _refuse_length(self.location)
        return Expansion("".join((*parts, text[start:])), tuple(unset))

    def _find_end(self, text: str, start: int) -> int:
        opened = 1
        for brace in _BRACE.finditer(text, start):
            opened += 1 if brace[0] == "${" else -1
            if not opened:
                return brace.start()
        raise self.location.refuse(f"'${{' without its '}}' in {text[:300]!r}", "close the brace")

    def _resolve(self, name: str, rest: str, depth: int) -> Expansion:
        value = self.variables.get(name)
        if not rest:
            return Expansion("", (name,)) if value is None else Expansion(value)
        operator = _OPERATOR.match(rest)
        if operator is None:
            cure = f"write ${{{name}}}, ${{{name}:-default}} or the value itself"
            raise self.location.refuse(f"${{{(name + rest)[:300]}}} is not understood", cure)
        word = rest[operator.end() :]
        has_value = value is not None and (value != "" or ":" not in operator[0])
        if operator[0].endswith("+"):
            return self.expand(word, depth - 1) if has_value else Expansion("")
        if has_value:
            return Expansion(value or "")
        if operator[0].endswith("-"):
            return self.expand(word, depth - 1)
        message = f": {word[:300]}" if word else ""
        raise self.location.refuse_unknown(
            f"variable {name} has no value{message}", f"give {name} a value"
        )


def _refuse_length(location: Location) -> ListInvalid:
    return location.refuse(f"more than {MAX_LENGTH} characters", "write the image itself")
