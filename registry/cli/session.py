"""What the commands that work on the store have in common: settings, data folder, errors."""

import asyncio
import logging
import os
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from registry.errors import EntrepotError, InvalidInput, SettingsError
from registry.settings.loading import load_settings
from registry.settings.model import Settings

# The server's libraries are imported only by the commands that need them: the others start faster.
if TYPE_CHECKING:
    from registry.wiring.content import Content

Config = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="The TOML file, instead of the usual places."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; change nothing.")]


@dataclass(frozen=True, slots=True)
class Session:
    """An open data folder, beside whatever serves from it."""

    settings: Settings
    content: "Content"


SessionOpener = Callable[[Settings], AbstractContextManager[Settings]]


@contextmanager
def first_session(settings: Settings) -> Iterator[Settings]:
    """Make the data folder where it is missing or empty: for commands that bring content in."""
    from registry.wiring.data_folder import create_data_folder  # noqa: PLC0415

    if not (settings.storage.path / "catalog.db").exists():
        _refuse_other_user(settings.storage.path)
    if create_data_folder(settings):
        typer.echo(f"entrepot: made the data folder {settings.storage.path}", err=True)
    yield settings


def temporary_session(settings: Settings) -> AbstractContextManager[Settings]:
    """Have an empty data folder for the moment where there is none: for what such would do."""
    from registry.wiring.data_folder import temporary_data_folder  # noqa: PLC0415

    return temporary_data_folder(settings)


def operate(
    config: Path | None,
    work: Callable[[Session], Coroutine[Any, Any, bool]],
    ground: SessionOpener = nullcontext,
) -> None:
    """Run `work` on the configured data folder; exit with 1 when it failed or says false.

    `ground` says what is to be done where there is no data folder; without it, that is an error, as
    its path may be misspelt.
    """
    from registry.logs import configure_logs  # noqa: PLC0415

    configure_logs(logging.CRITICAL)  # commands say themselves what went wrong
    try:
        with ground(load_settings(config, os.environ)) as settings:
            is_well = asyncio.run(_open(settings, work))
    except (SettingsError, InvalidInput) as error:
        fail(str(error), 2)
    except (EntrepotError, OSError) as error:
        fail(format_error(error), 1)
    except KeyboardInterrupt:
        fail("interrupted; what was done stays done", 130)
    if not is_well:
        raise typer.Exit(1)


async def _open(settings: Settings, work: Callable[[Session], Coroutine[Any, Any, bool]]) -> bool:
    from registry.wiring.content import open_content  # noqa: PLC0415

    _refuse_other_user(settings.storage.path / "catalog.db")
    async with open_content(settings) as content:
        return await work(Session(settings, content))


def _refuse_other_user(path: Path) -> None:
    """Leave no files behind that the server's user could not write to."""
    if path.exists() and (owner := path.stat().st_uid) != os.geteuid():
        raise SettingsError(
            "storage.path",
            f"{path} belongs to user {owner}",
            f"run this as that user, such as: sudo -u '#{owner}' entrepot ...",
        )


def format_error(error: EntrepotError | OSError) -> str:
    """Return the sentence of an error; the system's as `file: its words`, without a number."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


def fail(why: str, code: int) -> NoReturn:
    """End the command with one line on stderr."""
    typer.echo(f"entrepot: {why}", err=True)
    raise typer.Exit(code)
