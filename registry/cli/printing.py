"""The one place where commands print a report: as JSON for programs, or as text for people."""

import sys
from collections.abc import Callable, Iterable
from typing import TypeVar

import typer

from registry.cli.lines import find_width, print_line
from registry.cli.tables import Table, print_table, shorten_digests
from registry.reports.json import format_json
from registry.reports.lines import Verbatim

_Report = TypeVar("_Report")


class Summary(str):
    """A line whose digests are shortened to 12 digits on a terminal, as those in tables are."""

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

    On a terminal, lines are broken between words, except those that are `Verbatim`.

    `quiet` prints no text, but JSON if that was asked for. `err` prints to stderr, for commands
    that write something else to stdout.
    """
    if as_json:
        typer.echo(format_json(report), err=err)
        return
    for block in () if quiet else draw(report):
        if isinstance(block, Table):
            print_table(block, err=err)
        elif isinstance(block, Verbatim):
            typer.echo(block, err=err)
        else:
            is_short = isinstance(block, Summary) and find_width(sys.stderr if err else sys.stdout)
            print_line(shorten_digests(block) if is_short else block, err=err)
