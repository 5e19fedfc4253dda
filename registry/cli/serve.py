"""`entrepot serve`: load the settings, and start the server."""

import gc
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from registry.cli.addresses import read_address
from registry.cli.messages import INTERRUPTED, fail, warn
from registry.cli.session import Config
from registry.errors import SettingsError, StoreError
from registry.settings.exposure import list_exposed
from registry.settings.loading import Configuration, load_configuration
from registry.settings.trusted_endpoints import list_without_trusted
from registry.settings.values import Address

_Listen = Annotated[
    Address | None,
    typer.Option(
        "--listen",
        parser=read_address,
        metavar="HOST:PORT",
        help="Where clients connect, instead of server.listen.",
    ),
]
_Offline = Annotated[
    bool, typer.Option("--offline", help="Ask no upstream: serve only what is stored here.")
]
_NAME = "entrepot"


def serve(config: Config = None, listen: _Listen = None, offline: _Offline = False) -> None:
    """Run the mirror until SIGTERM or Ctrl-C. On a terminal, each pull is shown as one line.

    Example: entrepot serve --listen 0.0.0.0:5000
    """
    load = partial(_load, config, listen, offline=offline)
    try:
        configuration = load()
        settings = configuration.settings
        for note in (configuration.note, *list_exposed(settings), *list_without_trusted(settings)):
            if note:
                warn(note)
        # Imported only now: the other commands start faster without a server's libraries.
        from registry.cli.screen_process import open_screen  # noqa: PLC0415

        with open_screen(partial(_format_banner, configuration)) as is_on_terminal:
            started = _start(configuration, load, is_on_terminal=is_on_terminal)
    except (SettingsError, StoreError) as error:
        fail(str(error), 2)
    except KeyboardInterrupt:
        fail("interrupted", INTERRUPTED)
    if not started:
        raise typer.Exit(1)


def _start(
    configuration: Configuration, load: Callable[[], Configuration], *, is_on_terminal: bool
) -> bool:
    """Import the libraries of a server, and run it."""
    from registry.wiring.early import EarlyWork, import_libraries  # noqa: PLC0415

    with EarlyWork(configuration.settings.storage.path) as early:
        import_libraries()
        from registry.server.master import serve_forever  # noqa: PLC0415
    gc.freeze()  # as in registry/__main__.py
    return serve_forever(configuration, load, early.sound, is_on_terminal=is_on_terminal)


def _format_banner(configuration: Configuration, started: Mapping[str, Any]) -> Iterator[str]:
    # Imported only where it is shown, as it needs rich.
    from registry.cli.screen_lines import format_banner  # noqa: PLC0415

    return format_banner(
        configuration.settings,
        started,
        has_own_file=configuration.is_own,
        command=_find_command(),
    )


def _find_command() -> str:
    """Return how this program is called: by its path, if it is not on the PATH."""
    called = Path(sys.argv[0])
    if called.name != _NAME or shutil.which(_NAME):
        return _NAME
    return str(called)


def _load(config: Path | None, listen: Address | None, *, offline: bool) -> Configuration:
    # As a variable, which counts more than the file, so that it is checked like all settings.
    given = {} if listen is None else {"ENTREPOT_SERVER__LISTEN": str(listen)}
    configuration = load_configuration(config, {**os.environ, **given})
    if not offline:
        return configuration
    settings = configuration.settings.model_copy(update={"offline": True})
    return replace(configuration, settings=settings)
