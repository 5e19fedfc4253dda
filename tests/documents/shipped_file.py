"""`config/entrepot.toml` in pieces: which comments belong to which settings."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_EXAMPLE = "#     "
_VALUE = re.compile(r"([a-z_]+) = (.*?)(?: +#(.*))?")
_TABLE = re.compile(r"\[.*\]")


@dataclass(frozen=True)
class Comment:
    """Lines that belong together: sentences, or an example in TOML."""

    lines: tuple[str, ...]
    is_example: bool


@dataclass
class Piece:
    """Comments, and the settings below them: `values` has their texts in TOML by name.

    `begins` is the line of the table that begins here; empty in all other pieces.
    """

    comments: list[Comment] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)
    begins: str = ""


def read_pieces(text: str) -> Iterator[Piece]:
    """Yield the pieces of the file, without its head.

    A piece ends where comments follow a setting, at an empty line, and where a table begins.
    """
    _, _, body = text.partition("\n\n")
    for block in re.split(r"\n{2,}", body):
        lines: list[str] = []
        piece = Piece()
        for line in block.splitlines():
            if line.startswith("#"):
                if piece.values or piece.begins:
                    yield piece
                    piece, lines = Piece(), []
                lines.append(line)
                piece.comments = list(_group(lines))
            elif _TABLE.fullmatch(line):
                piece.begins = line
            else:
                _add_value(piece, line)
        yield piece


def _add_value(piece: Piece, line: str) -> None:
    found = _VALUE.fullmatch(line)
    assert found is not None, line
    name, value, remark = found.groups()
    piece.values[name] = value
    if remark:  # "for example ..." behind a value
        piece.comments.append(Comment((f"{remark.strip().capitalize()}.",), is_example=False))


def read_head(text: str) -> list[Comment]:
    """Return the comments at the beginning of the file, which are about all settings."""
    head, _, _ = text.partition("\n\n")
    return list(_group(head.splitlines()))


def _group(lines: list[str]) -> Iterator[Comment]:
    kept: list[str] = []
    was_example = False
    for line in lines:
        is_example = line.startswith(_EXAMPLE)
        if (kept and is_example != was_example) or line == "#":
            yield Comment(tuple(kept), was_example)
            kept = []
        was_example = is_example
        if line != "#":
            kept.append(line.removeprefix(_EXAMPLE if is_example else "# "))
    if kept:
        yield Comment(tuple(kept), was_example)
