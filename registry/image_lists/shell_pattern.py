"""Patterns in substitutions of a shell, such as `${NAME#pattern}`: `*`, `?` and other characters.

Bracket expressions are not special, as in BuildKit (POSIX.1-2017, Shell & Utilities, 2.13). The
time that a match takes grows with the product of the lengths of text and pattern, and not faster.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

_ESCAPED = "*?\\}/"  # after a backslash, these stand for themselves


class _Wildcard(Enum):
    ONE = "?"
    MANY = "*"


@dataclass(frozen=True, slots=True)
class ShellPattern:
    """A parsed pattern: characters and wildcards in order."""

    _tokens: Sequence[str | _Wildcard]

    @classmethod
    def parse(cls, text: str) -> "ShellPattern":
        """Parse a pattern; a backslash makes the character after it an ordinary one.

        Raises:
            ValueError: a backslash is at the end, or before a character that is never special.
        """
        tokens: list[str | _Wildcard] = []
        characters = iter(text)
        for each in characters:
            if each == "\\":
                escaped = next(characters, "")
                if not escaped or escaped not in _ESCAPED:
                    raise ValueError(f"{each}{escaped} in a pattern")
                tokens.append(escaped)
            else:
                tokens.append(_Wildcard(each) if each in "?*" else each)
        return cls(tokens)

    def trim_start(self, text: str, *, longest: bool) -> str:
        """Return a text without the shortest, or longest, beginning that matches."""
        found = re.compile(self._translate(longest=longest), re.DOTALL).match(text)
        return text[found.end() :] if found else text

    def trim_end(self, text: str, *, longest: bool) -> str:
        """Return a text without the shortest, or longest, end that matches."""
        mirrored = ShellPattern(self._tokens[::-1])
        return mirrored.trim_start(text[::-1], longest=longest)[::-1]

    def replace(self, text: str, by: str, *, everywhere: bool) -> str:
        """Return a text with its first longest match, or all of them, replaced."""
        finder = re.compile(self._translate(longest=True, is_anchored=False), re.DOTALL)
        parts: list[str] = []
        position, last_end = 0, -1
        while found := finder.match(text, position):
            start, end = found.end(1), found.end()
            parts.append(text[position:start])
            if end > start or start != last_end:
                parts.append(by)
            position = last_end = end
            if not everywhere or (start == end == len(text)):
                break
            if start == end:  # nothing was matched: go on after the next character
                parts.append(text[end])
                position += 1
        return "".join((*parts, text[position:]))

    def _translate(self, *, longest: bool, is_anchored: bool = True) -> str:
        """Return a regular expression that never tries a place for a part of the pattern twice.

        The texts between two `*` are searched one after the other, each at its first place. Only
        the last one is searched at its last place, if the match shall be the longest.
        """
        first, *others = self._split()
        if not is_anchored:
            first = f"(?>(.*?){first})"
        dots = [".*?"] * len(others)
        if longest and dots:
            dots[-1] = ".*"
        return first + "".join(f"(?>{d}{each})" for d, each in zip(dots, others, strict=True))

    def _split(self) -> list[str]:
        """Return the expressions for the texts between the `*`."""
        parts = [""]
        for token in self._tokens:
            if token is _Wildcard.MANY:
                parts.append("")
            else:
                parts[-1] += "." if token is _Wildcard.ONE else re.escape(token)
        return parts
