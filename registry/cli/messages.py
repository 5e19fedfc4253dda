"""Messages on stderr: warnings, and the one line that ends a failed command."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import typer

from registry.cli.lines import print_line
from registry.errors import EntrepotError, InvalidInput, SettingsError, StoreError
from registry.errors.masking import mask_secrets

FAILED, MISUSED, INTERRUPTED = 1, 2, 130  # exit codes
# After Ctrl-C, for commands that change the data folder or write files.
KEPT = "interrupted; what was finished is kept; run the same command again to continue"


def warn(text: str) -> None:
    """Print a line on stderr that begins with the program's name, without secrets."""
    print_line(f"entrepot: {mask_secrets(text)}", err=True)


def format_error(error: EntrepotError | OSError) -> str:
    """Return the text of an error; for an error of the system: `file: message`.

    If a file of another user is the reason, the text says which user may do this.
    """
    path, text = "", str(error)
    if isinstance(error, StoreError) and error.why == os.strerror(errno.EACCES):
        path = error.path
    elif isinstance(error, OSError) and error.strerror:
        path = str(error.filename or "") if isinstance(error, PermissionError) else ""
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return f"{text}{_name_owner(Path(path))}" if path else text


def _name_owner(path: Path) -> str:
    """Return the end of a message about a file, or else its folder, of another user."""
    # Imported only now: most commands end without such an error.
    from registry.wiring.data_folder_checks import find_other_owner  # noqa: PLC0415

    found = find_other_owner(path)
    if found is None:
        return ""
    return f"; {found[0]} belongs to user {found[1]}: run this as that user, or change its owner"


def fail(why: str, code: int) -> NoReturn:
    """Print one line on stderr, and end the command with an exit code."""
    warn(why)
    raise typer.Exit(code)


@contextmanager
def report_errors(failed: int = FAILED, interrupted: str = "interrupted") -> Iterator[None]:
    """End the command with one line on stderr if the block raises an error, or after Ctrl-C.

    The exit code is 2 if the command was used in a wrong way: an argument or a setting cannot be
    used, or a file that it names cannot be opened. After Ctrl-C it is 130, with the line
    `interrupted`. Otherwise it is `failed`.
    """
    try:
        yield
    except (SettingsError, InvalidInput) as error:
        fail(str(error), MISUSED)
    except (EntrepotError, OSError) as error:
        fail(format_error(error), failed)
    except KeyboardInterrupt:
        fail(interrupted, INTERRUPTED)
