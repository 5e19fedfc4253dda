"""Words of a Dockerfile: quotes, escapes and variables are replaced as BuildKit replaces them.

The rules are those of Dockerfile syntax 1 (BuildKit, frontend/dockerfile/shell/lex.go). What only a
build knows, such as the platform, stays unknown; so does a word that cannot be read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from registry.image_lists.shell_pattern import ShellPattern

UNKNOWN = "\0"  # stands in a text for a part that is not known
MAX_LENGTH = 4096  # characters; no image is longer
_MAX_DEPTH = 10
_SPECIAL_NAMES = "@*#?-$!"  # positional and special parameters have no value in a Dockerfile


@dataclass(frozen=True, slots=True)
class Word:
    """A text after the replacement.

    `reasons` say why parts of it are `UNKNOWN`; without reasons, everything is known. `unset` are
    the variables that had no value, and so were replaced by nothing. `is_filled` says of a text
    that is not known whether it has at least one character.
    """

    text: str = ""
    reasons: tuple[str, ...] = ()
    unset: tuple[str, ...] = ()
    is_filled: bool = False

    @property
    def may_be_empty(self) -> bool:
        """Whether the text may be empty, as far as it is known."""
        return not (self.is_filled or self.text.strip(UNKNOWN if self.reasons else ""))


def replace_variables(text: str, variables: Mapping[str, Word], escape: str = "\\") -> Word:
    """Return a word after the replacement of `$A`, `${A}` and all their forms with an operator.

    The operators are `-`, `+`, `?` (with `:` too), `#`, `##`, `%`, `%%`, `/` and `//`. `escape` is
    the character of the directive `# escape=`.
    """
    if len(text) > MAX_LENGTH:
        return _make_unknown(f"it has more than {MAX_LENGTH} characters")
    try:
        return _WordReader(text, variables, escape).read()
    except _UnreadableError as error:
        return _make_unknown(str(error))


class _UnreadableError(Exception):
    """A word, or a value in it, breaks the rules; BuildKit would refuse it."""


def _make_unknown(*reasons: str) -> Word:
    return Word(UNKNOWN, tuple(dict.fromkeys(reasons)))


def _join(words: Sequence[Word]) -> Word:
    text = "".join(each.text for each in words)
    if len(text) > MAX_LENGTH:
        raise _UnreadableError(f"its value has more than {MAX_LENGTH} characters")
    return Word(
        text,
        tuple(dict.fromkeys(why for each in words for why in each.reasons)),
        tuple(dict.fromkeys(name for each in words for name in each.unset)),
        is_filled=any(not each.may_be_empty for each in words),
    )


class _WordReader:
    """Reads one word from left to right."""

    def __init__(self, text: str, variables: Mapping[str, Word], escape: str) -> None:
        self._text = text
        self._variables = variables
        self._escape = escape
        self._position = 0
        self._depth = 0

    def read(self) -> Word:
        return self._read_until("")

    def _peek(self) -> str:
        return self._text[self._position : self._position + 1]

    def _take(self) -> str:
        character = self._peek()
        self._position += 1
        return character

    def _read_until(self, end: str, *, keeps_escapes: bool = False) -> Word:
        """Read up to and with the character `end`; "" means the end of the text.

        Patterns keep their escapes, since an escaped `*` is another thing than a `*`.
        """
        words: list[Word] = []
        while character := self._take():
            if character == end:
                return _join(words)
            if character == "$":
                words.append(self._read_variable())
            elif character == "'":
                words.append(self._read_single_quotes())
            elif character == '"':
                words.append(self._read_double_quotes(keeps_escapes=keeps_escapes))
            elif character == self._escape:
                words.append(Word((character if keeps_escapes else "") + self._take()))
            else:
                words.append(Word(character))
        if end:
            raise _UnreadableError(f"{self._show()} has no {end!r} at its end")
        return _join(words)

    def _read_single_quotes(self) -> Word:
        start = self._position
        end = self._text.find("'", start)
        if end < 0:
            raise _UnreadableError(f"{self._show()} has a quote that is not closed")
        self._position = end + 1
        return Word(self._text[start:end])

    def _read_double_quotes(self, *, keeps_escapes: bool) -> Word:
        words: list[Word] = []
        while character := self._take():
            if character == '"':
                return _join(words)
            if character == "$":
                words.append(self._read_variable())
                continue
            if character == self._escape:
                words.append(Word(character if keeps_escapes else ""))
                if self._peek() in ('"', "$", self._escape, ""):
                    character = self._take()
            words.append(Word(character))
        raise _UnreadableError(f"{self._show()} has a quote that is not closed")

    def _read_variable(self) -> Word:
        """Read what follows a dollar sign."""
        if self._peek() != "{":
            name = self._read_name()
            return self._find(name) if name else Word("$")
        start = self._position
        self._take()
        if self._peek() in ("", "{", "}", ":"):
            raise self._refuse(start)
        name = self._read_name()
        operator = self._take()
        if operator == "}":
            return self._find(name)
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise _UnreadableError(f"it has more than {_MAX_DEPTH} substitutions inside each other")
        found = self._read_substitution(name, operator, start)
        self._depth -= 1
        return found

    def _read_name(self) -> str:
        start = self._position
        first = self._peek()
        if first and first in _SPECIAL_NAMES:
            self._take()
        elif first.isdecimal():
            while self._peek().isdecimal():
                self._take()
        else:
            while self._peek().isalnum() or self._peek() == "_":
                self._take()
        return self._text[start : self._position]

    def _find(self, name: str) -> Word:
        return self._variables.get(name) or Word(unset=(name,))

    def _read_substitution(self, name: str, operator: str, start: int) -> Word:
        if operator == "/":
            everywhere = self._peek() == "/"
            if everywhere:
                self._take()
            pattern = self._read_until("/", keeps_escapes=True)
            by = self._read_until("}", keeps_escapes=True)
            return _replace(self._find(name), pattern, by, everywhere=everywhere)
        is_strict = operator == ":"  # then an empty value is like none
        if is_strict:
            operator = self._take()
        is_trimming = operator in ("#", "%")
        if operator not in ("-", "+", "?") and (is_strict or not is_trimming):
            raise self._refuse(start)
        word = self._read_until("}", keeps_escapes=is_trimming)
        if is_trimming:
            return _trim(self._find(name), word, operator)
        return self._choose(name, operator, word, is_strict=is_strict)

    def _choose(self, name: str, operator: str, word: Word, *, is_strict: bool) -> Word:
        value = self._variables.get(name)
        is_missing = value is None or (is_strict and not value.reasons and not value.text)
        if value and is_strict and operator != "?" and value.reasons and value.may_be_empty:
            return _make_unknown(*value.reasons, *word.reasons)
        if operator == "+":
            return Word() if is_missing else word
        if value is not None and not is_missing:
            return value
        if operator == "-":
            return word
        message = f" ({word.text})" if word.text else ""
        raise _UnreadableError(f"{name} has no value{message}")

    def _refuse(self, start: int) -> _UnreadableError:
        end = self._text.find("}", start)
        written = self._text[start : end + 1 if end >= 0 else None]
        return _UnreadableError(f"${written[:300]} is not understood")

    def _show(self) -> str:
        return self._text[:300]


def _parse_pattern(text: str) -> ShellPattern:
    try:
        return ShellPattern.parse(text)
    except ValueError as error:
        raise _UnreadableError(f"{error} is not understood") from None


def _trim(value: Word, pattern: Word, operator: str) -> Word:
    reasons = (*value.reasons, *pattern.reasons)
    if reasons:
        return _make_unknown(*reasons)
    longest = pattern.text.startswith(operator)
    parsed = _parse_pattern(pattern.text[1:] if longest else pattern.text)
    trim = parsed.trim_start if operator == "#" else parsed.trim_end
    return Word(trim(value.text, longest=longest), unset=value.unset)


def _replace(value: Word, pattern: Word, by: Word, *, everywhere: bool) -> Word:
    reasons = (*value.reasons, *pattern.reasons, *by.reasons)
    if reasons:
        return _make_unknown(*reasons)
    parsed = _parse_pattern(pattern.text)
    return Word(parsed.replace(value.text, by.text, everywhere=everywhere), unset=value.unset)
