"""Messages on stderr: warnings, and the one line that ends a failed command."""

from typing import NoReturn

import typer

from registry.errors import EntrepotError


def warn(text: str) -> None:
    """Print a line on stderr that begins with the program's name."""
    typer.echo(f"entrepot: {text}", err=True)


def format_error(error: EntrepotError | OSError) -> str:
    """Return the text of an error; for an error of the system: `file: message`."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


def fail(why: str, code: int) -> NoReturn:
    """Print one line on stderr, and end the command with an exit code."""
    warn(why)
    raise typer.Exit(code)
