"""The one place where commands print a report: as JSON for programs, or as text for people."""

from collections.abc import Callable, Iterable
from typing import TypeVar

import typer

from registry.cli.tables import Table, print_table
from registry.reports.json import format_json

_Report = TypeVar("_Report")


def print_report(
    report: _Report,
    draw: Callable[[_Report], Iterable[str | Table]],
    *,
    as_json: bool,
    err: bool = False,
) -> None:
    """Print a report as JSON, or as the lines of text and the tables that `draw` yields.

    `err` prints to stderr, for commands that write something else to stdout.
    """
    if as_json:
        typer.echo(format_json(report), err=err)
        return
    for block in draw(report):
        if isinstance(block, Table):
            print_table(block, err=err)
        else:
            typer.echo(block, err=err)
