"""Numbers as people read them, and the one console that commands print tables and progress on."""

import time
from typing import Literal

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def tell_size(size: int) -> str:
    """Print bytes with three digits that count: `1.43 GiB`."""
    amount, unit = float(size), 0
    while amount >= 999.5 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1024, unit + 1
    return f"{size} B" if unit == 0 else f"{amount:.3g} {_UNITS[unit]}"


def tell_age(moment: float) -> str:
    """Print how long ago a moment (epoch seconds) was: `3 h ago`; 0 means never."""
    if not moment:
        return "never"
    seconds = max(0.0, time.time() - moment)
    for length, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit} ago"
    return "just now"


def make_table(*columns: str, numbers: tuple[str, ...] = ()) -> Table:
    """Return an empty table; columns named in `numbers` are aligned to the right."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        is_number = column in numbers
        justify: Literal["left", "right"] = "right" if is_number else "left"
        # What is too long goes on in the next line, rather than being cut.
        table.add_column(column, justify=justify, no_wrap=is_number, overflow="fold")
    return table


def print_table(table: Table) -> None:
    """Print to stdout; where that is no terminal, nothing is cut to fit a width."""
    width = None if Console().is_terminal else 1000
    Console(width=width, markup=False, emoji=False).print(table)  # names are not ours: no codes


def open_progress(what: str, total: int) -> Progress:
    """Return a bar over `total` bytes, on stderr and only where that is a terminal."""
    console = Console(stderr=True)
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )
    progress.add_task(what, total=total)
    return progress
