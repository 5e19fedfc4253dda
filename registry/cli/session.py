"""What the commands that work on the store have in common: settings, data folder, errors."""

import asyncio
import logging
import os
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from registry.configuration import load_settings
from registry.errors import EntrepotError, InvalidInput, SettingsError
from registry.settings import Settings

# The server's libraries are imported only by what runs: that starts the other commands faster, and
# `serve` has to say where things are counted before anything that counts is imported.
if TYPE_CHECKING:
    from registry.storehouse import Storehouse

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
    storehouse: "Storehouse"


def operate(config: Path | None, work: Callable[[Session], Coroutine[Any, Any, bool]]) -> None:
    """Run `work` on the configured data folder; exit with 1 when it failed or says false."""
    from registry.logs import configure_logs  # noqa: PLC0415

    configure_logs(logging.CRITICAL)  # commands say themselves what went wrong
    try:
        is_well = asyncio.run(_open(load_settings(config, os.environ), work))
    except (SettingsError, InvalidInput) as error:
        fail(str(error), 2)
    except (EntrepotError, OSError) as error:
        fail(str(error), 1)
    except KeyboardInterrupt:
        fail("interrupted; what was done stays done", 130)
    if not is_well:
        raise typer.Exit(1)


async def _open(settings: Settings, work: Callable[[Session], Coroutine[Any, Any, bool]]) -> bool:
    from registry.storehouse import open_storehouse  # noqa: PLC0415

    _refuse_other_user(settings.storage.path / "catalog.db")
    async with open_storehouse(settings) as storehouse:
        return await work(Session(settings, storehouse))


def _refuse_other_user(catalog: Path) -> None:
    """Leave no files behind that the server's user could not write to."""
    if catalog.exists() and (owner := catalog.stat().st_uid) != os.geteuid():
        raise SettingsError(
            "storage.path",
            f"{catalog} belongs to user {owner}",
            f"run this as that user, such as: sudo -u '#{owner}' entrepot ...",
        )


def fail(why: str, code: int) -> NoReturn:
    """End the command with one line on stderr."""
    typer.echo(f"entrepot: {why}", err=True)
    raise typer.Exit(code)
