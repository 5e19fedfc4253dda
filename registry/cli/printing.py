"""The one place where commands print a report: as JSON for programs, or as text for people."""

from collections.abc import Callable, Iterable
from textwrap import wrap
from typing import TypeVar

import typer
from rich.console import Console

from registry.cli.tables import Table, print_table
from registry.reports.json import format_json

_Report = TypeVar("_Report")


class Paragraph(str):
    """A sentence that may be longer than a line: on a terminal it is broken between words."""

    __slots__ = ()


def print_report(
    report: _Report,
    draw: Callable[[_Report], Iterable[str | Table]],
    *,
    as_json: bool,
    quiet: bool = False,
    err: bool = False,
) -> None:
    """Print a report as JSON, or as the lines of text and the tables that `draw` yields.

    `quiet` prints no text, but JSON if that was asked for. `err` prints to stderr, for commands
    that write something else to stdout.
    """
    if as_json:
        typer.echo(format_json(report), err=err)
        return
    for block in () if quiet else draw(report):
        if isinstance(block, Table):
            print_table(block, err=err)
        elif isinstance(block, Paragraph):
            typer.echo("\n".join(_break(block, Console(stderr=err))), err=err)
        else:
            typer.echo(block, err=err)


def _break(text: str, console: Console) -> list[str]:
    if not console.is_terminal:
        return [text]
    return wrap(text, console.width, subsequent_indent="  ", break_on_hyphens=False)
