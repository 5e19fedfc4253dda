"""The session of a command that works on the store: settings, data folder, errors."""

import asyncio
import logging
import os
import pwd
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from registry.cli.messages import KEPT, report_errors, warn
from registry.errors import SettingsError
from registry.settings.configuration import Configuration
from registry.settings.loading import load_configuration
from registry.settings.model import Settings

# Libraries of the server are imported only where they are needed: other commands start faster.
if TYPE_CHECKING:
    from registry.wiring.content import ContentServices

Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="The settings file (TOML). Default: the one that ENTREPOT_CONFIG names, else the one"
        " that entrepot config check shows.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print nothing but warnings and errors.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done; change nothing.")]


@dataclass(frozen=True, slots=True)
class Session:
    """The settings and the open data folder of a command; servers may use the folder too."""

    settings: Settings
    content: "ContentServices"


SessionOpener = Callable[[Settings], AbstractContextManager[Settings]]


@contextmanager
def create_missing(settings: Settings) -> Iterator[Settings]:
    """Make the data folder if it is missing or empty; for commands that store content.

    If nothing was stored in it, it is deleted at the end, and else the end says that it was made.
    """
    from registry.wiring.data_folder import new_data_folder  # noqa: PLC0415

    folder = settings.storage.path
    refuse_other_user(folder)
    is_new = False
    try:
        with new_data_folder(settings) as is_new:
            yield settings
    finally:
        if is_new and (folder / "LAYOUT").exists():
            warn(f"made the data folder {folder}")


def replace_missing(settings: Settings) -> AbstractContextManager[Settings]:
    """Use a temporary data folder if there is none; for dry runs of commands that store content."""
    from registry.wiring.data_folder import temporary_data_folder  # noqa: PLC0415

    return temporary_data_folder(settings)


def operate(
    config: Path | None,
    work: Callable[[Session], Coroutine[Any, Any, bool]],
    open_folder: SessionOpener = nullcontext,
    *,
    quiet: bool = False,
) -> None:
    """Run `work` on the configured data folder; exit with 1 when it fails or returns false.

    `open_folder` says what to do if there is no data folder. By default this is an error, because
    the path may be misspelt. On a terminal, the data folder is named, unless `quiet`.
    """
    from registry.logs import configure_logs  # noqa: PLC0415

    configure_logs(logging.CRITICAL)  # commands print their own messages
    with report_errors(interrupted=KEPT):
        configuration = load_configuration(config, os.environ)
        _describe_data_folder(configuration, quiet=quiet)
        with (
            configuration.origins.name_faults(),
            open_folder(configuration.settings) as settings,
        ):
            succeeded = asyncio.run(_open(settings, work))
    if not succeeded:
        raise typer.Exit(1)


def _describe_data_folder(configuration: Configuration, *, quiet: bool) -> None:
    """On a terminal, print which data folder is used, and whether a server is using it."""
    if configuration.note:
        warn(configuration.note)
    if sys.stderr.isatty() and not quiet:
        from registry.wiring.data_folder_checks import is_used_by_server  # noqa: PLC0415

        folder = configuration.settings.storage.path
        use = ", which a server is using" if is_used_by_server(folder) else ""
        warn(f"data folder {folder}{use}")


async def _open(settings: Settings, work: Callable[[Session], Coroutine[Any, Any, bool]]) -> bool:
    from registry.wiring.content import open_content  # noqa: PLC0415

    refuse_other_user(settings.storage.path)
    async with open_content(settings) as content:
        return await work(Session(settings, content))


def refuse_other_user(folder: Path) -> None:
    """Refuse the data folder of another user, whose server could not write to our files.

    Raises:
        SettingsError: its catalog, or without a catalog the folder, belongs to another user; or a
            folder above it does, which only that user may look into.
    """
    is_closed = False
    for path in (folder / "catalog.db", folder, *folder.absolute().parents):
        try:
            owner = path.stat().st_uid
        except OSError as error:  # it is missing, or only its owner may look into the folder
            is_closed = is_closed or isinstance(error, PermissionError)
            continue
        is_above = path not in (folder, folder / "catalog.db")
        if owner == os.geteuid() or (is_above and not is_closed):
            return
        raise SettingsError(
            "storage.path",
            f"{path} belongs to user {owner}",
            f"run this as that user, such as: sudo -u {_name_user(owner)} entrepot ...",
        )


def _name_user(number: int) -> str:
    """Return a user as sudo takes it: by name, or by number if the user has none."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"'#{number}'"
