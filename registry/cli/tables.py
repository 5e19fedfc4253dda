"""Tables of text. On a terminal they fit its width, and names of images are never cut."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

import typer
from rich.cells import cell_len, chop_cells
from rich.console import Console
from rich.text import Text

GAP = 2  # blanks between two columns
LEAST_NAME = 24  # columns: narrower than that, every name gets a line of its own
LEAST_TEXT = 10  # columns of text whose words are broken
_DIGEST = re.compile(r"(sha(?:256|512):[0-9a-f]{12})[0-9a-f]{20,}")


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under `columns`; the columns in `numbers` are aligned to the right.

    Text in `whole` is not folded, and numbers are not either. Words in `breakable` are broken if
    there is no other way.
    `names` is the column with the names of images, one name on each line of a cell; it is the first
    or the last column. A name that is too long for its column gets a line of its own.
    """

    columns: tuple[str, ...]
    numbers: frozenset[str]
    names: str
    whole: frozenset[str] = frozenset()
    breakable: frozenset[str] = frozenset()
    rows: list[tuple[str, ...]] = field(default_factory=list)

    def add_row(self, *cells: str) -> None:
        """Add a row with one cell for each column."""
        self.rows.append(cells)


def make_table(
    *columns: str,
    numbers: Sequence[str] = (),
    names: str = "",
    whole: Sequence[str] = (),
    breakable: Sequence[str] = (),
) -> Table:
    """Return an empty table."""
    return Table(columns, frozenset(numbers), names, frozenset(whole), frozenset(breakable))


def print_table(table: Table, *, err: bool = False) -> None:
    """Print a table. On a terminal it fits the width, and digests are shortened to 12 digits.

    In other output each row is one line, nothing is shortened, and lines do not end with blanks.
    """
    console = Console(stderr=err)
    head, body = lay_out(table, console.width) if console.is_terminal else _lay_out_wide(table)
    for line in head:
        console.print(Text(line, "bold"), soft_wrap=True)
    if body:
        typer.echo("\n".join(body), err=err)


def lay_out(table: Table, width: int) -> tuple[list[str], list[str]]:
    """Return the lines of the head and of the rows, for a terminal of `width` columns. Pure.

    Text that is too long for its column continues on the next line. A line is longer than `width`
    only if it consists of one name.
    """
    rows = [
        tuple(
            cell if column == table.names else shorten_digests(cell)
            for column, cell in zip(table.columns, row, strict=True)
        )
        for row in table.rows
    ]
    widths = _fit(table, rows, width)
    head = list(_draw(table, table.columns, widths))
    return head, [line for row in rows for line in _draw(table, row, widths)]


def _lay_out_wide(table: Table) -> tuple[list[str], list[str]]:
    rows = [tuple(cell.replace("\n", ", ") for cell in row) for row in table.rows]
    widths = [max(map(cell_len, column)) for column in zip(table.columns, *rows, strict=True)]
    head = list(_join(table, table.columns, widths))
    return head, [line for row in rows for line in _join(table, row, widths)]


def shorten_digests(text: str) -> str:
    """Shorten each digest in a text to 12 digits; add `…` if there is other text around it."""
    return _DIGEST.sub(r"\1" if _DIGEST.fullmatch(text) else r"\1…", text)


def _fit(table: Table, rows: Sequence[Sequence[str]], width: int) -> list[int]:
    """Return the widths of the columns; 0 if every name gets a line of its own."""
    cells = list(zip(table.columns, *rows, strict=True))
    widths = [max(cell_len(line) for cell in each for line in cell.split("\n")) for each in cells]
    if table.names not in table.columns:
        _shrink(table, cells, widths, width)
        return widths
    place = table.columns.index(table.names)
    longest, alone = widths[place], [*widths[:place], 0, *widths[place + 1 :]]
    widths[place] = min(longest, LEAST_NAME)
    _shrink(table, cells, widths, width)
    room = width - sum(widths) - GAP * (len(widths) - 1)
    if room < 0:  # the other columns leave no room for names
        _shrink(table, cells, alone, width)
        _shrink(table, cells, alone, width, breaks_words=True)
        return alone
    widths[place] = min(longest, widths[place] + room)
    return widths


def _shrink(
    table: Table,
    cells: Sequence[Sequence[str]],
    widths: list[int],
    width: int,
    *,
    breaks_words: bool = False,
) -> None:
    """Make the widest columns of text narrower, but not narrower than their longest words.

    With `breaks_words`, the words of columns whose words may be broken do not count.
    """
    texts = {
        place: LEAST_TEXT
        if breaks_words and column in table.breakable
        else max(cell_len(word) for cell in cells[place] for word in cell.split())
        for place, column in enumerate(table.columns)
        if column not in table.numbers | table.whole and column != table.names
    }
    while sum(widths) + GAP * (len(widths) - 1) > width:
        place = max(texts, key=lambda each: widths[each] - texts[each], default=-1)
        if place < 0 or widths[place] <= texts[place]:
            return
        widths[place] -= 1


def _draw(table: Table, row: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    """Yield the lines of one row; names that are too long get lines before or after the others."""
    if table.names not in table.columns:
        yield from _join(table, row, widths)
        return
    place = table.columns.index(table.names)
    names = row[place].split("\n")
    # Those that fit stay with them in their order, unless there is a long one between.
    is_long = [cell_len(name) > widths[place] for name in names]
    if place == 0:
        split = len(names) - is_long[::-1].index(True) if any(is_long) else 0
        long, short = names[:split], names[split:]
    else:
        split = is_long.index(True) if any(is_long) else len(names)
        short, long = names[:split], names[split:]
    rest = (*row[:place], "\n".join(short), *row[place + 1 :])
    if place == 0:
        yield from long
    yield from _join(table, rest, widths)
    if place:
        yield from (f"{'':{2 * GAP}}{name}" for name in long)


def _join(table: Table, row: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    """Yield the lines of a row whose cells are side by side, as many as the tallest cell has."""
    columns = [_wrap(cell, width) for cell, width in zip(row, widths, strict=True)]
    for cells in zip_longest(*columns, fillvalue=""):
        padded = []
        for column, cell, width in zip(table.columns, cells, widths, strict=True):
            blanks = " " * (width - cell_len(cell))
            padded.append(blanks + cell if column in table.numbers else cell + blanks)
        yield (" " * GAP).join(padded).rstrip()


def _wrap(text: str, width: int) -> list[str]:
    """Break a cell into lines between words, and within words that are longer than the column."""
    lines: list[str] = []
    for paragraph in text.split("\n"):
        lines.append("")
        for word in paragraph.split():
            joined = f"{lines[-1]} {word}".lstrip()
            if cell_len(joined) <= width:
                lines[-1] = joined
                continue
            pieces = chop_cells(word, width)
            lines[-1:] = [lines[-1], *pieces] if lines[-1] else pieces
    return lines
