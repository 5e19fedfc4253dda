"""The instructions of a Dockerfile, without comments, line breaks and here-documents."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile

from registry.image_lists.location import Location

_DIRECTIVE = re.compile(r"#\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(\S.*)")
_WORD = re.compile(r"""(?:\\.|"(?:\\.|[^"\\])*+"|'[^']*+'|\S)++""")
_HEREDOC = re.compile(r"[0-9]*<<(-?)([^<]+)")
_WITH_HEREDOCS = frozenset({"ADD", "COPY", "RUN"})
_TRIGGER = "ONBUILD"


@dataclass(frozen=True, slots=True)
class Directive:
    """The value of a line such as `# syntax=docker/dockerfile:1`, and the number of the line."""

    value: str
    line: int


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction and the line where it begins.

    `keyword` is in capitals; `flags` are the leading words that begin with `--`; `words` are the
    others, with their quotes; `is_trigger` says whether it follows ONBUILD.
    """

    line: int
    keyword: str
    flags: tuple[str, ...]
    words: tuple[str, ...]
    is_trigger: bool


def unquote(word: str) -> str:
    """Remove the quotes around a word, if they enclose the whole word."""
    is_quoted = len(word) > 1 and word[0] == word[-1] and word[0] in "\"'"
    return word[1:-1] if is_quoted else word


def read_directives(lines: list[str]) -> Mapping[str, Directive]:
    """Return the directives by name; they end before the first line that is not a directive."""
    found: dict[str, Directive] = {}
    for number, line in enumerate(lines, 1):
        if number == 1 and line.startswith("#!"):
            continue
        match = _DIRECTIVE.match(line.strip())
        if match is None or match[1].lower() in found:
            break
        found[match[1].lower()] = Directive(match[2].strip(), number)
    return found


def read_instructions(lines: list[str], source: str, escape: str) -> Iterator[Instruction]:
    """Yield all instructions, also unknown ones; a line that ends with `escape` is continued.

    Raises:
        ListInvalid: a here-document has no end.
    """
    index = 0
    while index < len(lines):
        line = index + 1
        if _is_skipped(lines[index]):
            index += 1
            continue
        text, index = _join(lines, index, escape)
        instruction = _read_instruction(text, line)
        if instruction.keyword in _WITH_HEREDOCS:
            for word in (*instruction.flags, *instruction.words):
                index = _skip_heredoc(word, lines, index, Location(source, line))
        yield instruction


def _is_skipped(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")


def _join(lines: list[str], index: int, escape: str) -> tuple[str, int]:
    parts: list[str] = []
    while index < len(lines):
        line = lines[index]
        index += 1
        # Docker skips a comment or an empty line inside a continued instruction.
        if parts and _is_skipped(line):
            continue
        bare = line.rstrip(" \t")
        if not bare.endswith(escape) or bare.endswith(2 * escape):
            parts.append(line)
            break
        parts.append(bare.removesuffix(escape))
    return "".join(parts), index


def _read_instruction(text: str, line: int) -> Instruction:
    words = _WORD.findall(text)
    is_trigger = len(words) > 1 and words[0].upper() == _TRIGGER
    keyword, *rest = words[1:] if is_trigger else words or [""]
    flags = tuple(takewhile(lambda word: word.startswith("--"), rest))
    return Instruction(line, keyword.upper(), flags, tuple(rest[len(flags) :]), is_trigger)


def _skip_heredoc(word: str, lines: list[str], index: int, location: Location) -> int:
    found = _HEREDOC.fullmatch(word)
    if found is None:
        return index
    name = unquote(found[2])
    for number in range(index, len(lines)):
        line = lines[number].lstrip("\t") if found[1] else lines[number]
        if line == name:
            return number + 1
    raise location.refuse(f"<<{name[:100]} has no end", f"write {name[:100]} on a line of its own")
