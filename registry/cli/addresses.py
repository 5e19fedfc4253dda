"""Addresses on the command line: where a server listens."""

from typing import Annotated

import typer

from registry.settings.values import Address, Refusal, parse_address

EVERYWHERE = ("0.0.0.0", "[::]")  # noqa: S104 - compared, not bound


def read_address(text: str) -> Address:
    """Read `host:port`.

    Raises:
        typer.BadParameter: the text has another form.
    """
    try:
        return parse_address(text)
    except Refusal as error:
        raise typer.BadParameter(str(error)) from error


Listen = Annotated[
    Address,
    typer.Option(
        "--listen", parser=read_address, metavar="HOST:PORT", help="Where clients connect."
    ),
]
Console = Annotated[
    Address,
    typer.Option("--console", parser=read_address, metavar="HOST:PORT", help="Probes and metrics."),
]
