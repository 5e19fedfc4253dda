"""Numbers as people read them, and the one console that commands print tables and progress on."""

import re
import time
from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from typing import Literal

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
)
from rich.table import Column
from rich.table import Table as RichTable
from rich.text import Text

PIPE = 100_000  # columns where nobody reads them
_DIGEST = re.compile(r"(sha(?:256|512):[0-9a-f]{12})[0-9a-f]{20,}")
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def format_bytes(size: int) -> str:
    """Print bytes with three digits that count: `1.43 GiB`."""
    amount, unit = float(size), 0
    while amount >= 999.5 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1024, unit + 1
    return f"{size} B" if unit == 0 else f"{amount:.3g} {_UNITS[unit]}"


def format_count(count: int, noun: str) -> str:
    """Print a number of things: `1 blob`, `2 blobs`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def format_volumes(numbers: Sequence[int]) -> str:
    """Print which volumes: `volume 3`, `volumes 1, 3`."""
    return f"volume{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}"


def format_age(moment: float) -> str:
    """Print how long ago a moment (epoch seconds) was: `3 h ago`; 0 means never."""
    if not moment:
        return "never"
    seconds = max(0.0, time.time() - moment)
    for length, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit} ago"
    return "just now"


class Table:
    """Rows of text under named columns, printed by `print_table`."""

    def __init__(self, columns: Sequence[str], numbers: Collection[str]) -> None:
        self.columns = tuple(columns)
        self.numbers = frozenset(numbers)
        self.rows: list[tuple[str, ...]] = []

    def add_row(self, *cells: str) -> None:
        """Add a row, a cell for each column."""
        self.rows.append(cells)


def make_table(*columns: str, numbers: tuple[str, ...] = ()) -> Table:
    """Return an empty table; columns named in `numbers` are aligned to the right."""
    return Table(columns, numbers)


def print_table(table: Table) -> None:
    """Print to stdout: on a terminal to its width, with digests by their first 12 digits.

    Elsewhere each row is one line, nothing is cut, and no blanks are at its end.
    """
    if Console().is_terminal:
        Console(markup=False, emoji=False).print(_draw(table, shorten))  # names are not ours
        return
    console = Console(width=PIPE, markup=False, emoji=False)
    with console.capture() as captured:
        console.print(_draw(table, str))
    lines = captured.get().removesuffix("\n").split("\n")
    typer.echo("\n".join(line.rstrip() for line in lines))


def shorten(text: str) -> str:
    """Leave 12 digits of each digest in a text; within a longer one, that is shown."""
    return _DIGEST.sub(r"\1" if _DIGEST.fullmatch(text) else r"\1…", text)


def _draw(table: Table, spell: Callable[[str], str]) -> RichTable:
    drawn = RichTable(box=None, pad_edge=False, header_style="bold")
    for place, column in enumerate(table.columns):
        is_number = column in table.numbers
        is_whole = is_number or all(_DIGEST.fullmatch(row[place]) for row in table.rows)
        justify: Literal["left", "right"] = "right" if is_number else "left"
        # What is too long goes on in the next line, rather than being cut.
        drawn.add_column(column, justify=justify, no_wrap=is_whole, overflow="fold")
    for row in table.rows:
        drawn.add_row(*map(spell, row))
    return drawn


class _Pace(ProgressColumn):
    """How fast it goes and how long it will take, as soon as either is known."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        if not speed:
            return Text("")
        told = f"{format_bytes(int(speed))}/s"
        if task.remaining and task.time_remaining is not None:
            told += f" {timedelta(seconds=int(task.time_remaining))}"
        return Text(told)


def list_columns() -> list[ProgressColumn]:
    """Return what a bar over bytes shows: its name, how much of it there is, and the pace.

    The bar takes what is left of a line, if its `Progress` is told to expand.
    """
    text = TextColumn("{task.description}", markup=False)
    amount = DownloadColumn(binary_units=True, table_column=Column(no_wrap=True))
    return [text, BarColumn(bar_width=None), amount, _Pace(Column(no_wrap=True))]


def open_progress(what: str, total: int) -> Progress:
    """Return a bar over `total` bytes, on stderr and only where that is a terminal."""
    console = Console(stderr=True)
    progress = Progress(
        *list_columns(),
        expand=True,
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )
    progress.add_task(what, total=total)
    return progress
