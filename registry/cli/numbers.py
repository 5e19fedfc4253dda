"""Numbers on the command line, with errors and limits in plain words."""

from collections.abc import Callable

import typer


def read_number(least: int, most: int) -> Callable[[object], int]:
    """Return a parser of whole numbers from `least` to `most`, for `typer.Option(parser=...)`.

    The parser raises `typer.BadParameter` for everything else. typer's own types would put their
    limits (`1<=x<=64`) into the help, and the texts of a library into their errors.
    """

    def read(value: object) -> int:
        text = str(value).strip()
        if not (text.isascii() and text.isdigit() and least <= int(text[:19]) <= most):
            raise typer.BadParameter(f"{text[:40]!r} is not a whole number from {least} to {most}")
        return int(text)

    return read
