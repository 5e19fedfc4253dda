"""`entrepot serve`: load the settings, and start the server."""

import os
from pathlib import Path
from typing import Annotated

import typer

from registry.cli.messages import fail
from registry.cli.session import Config
from registry.errors import SettingsError, StoreError
from registry.settings.loading import find_config, load_settings
from registry.settings.model import Settings

_Offline = Annotated[
    bool, typer.Option("--offline", help="Ask no upstream: serve only what is stored here.")
]


def serve(config: Config = None, offline: _Offline = False) -> None:
    """Run the mirror until SIGTERM or Ctrl-C.

    Example: entrepot serve --config /etc/entrepot/entrepot.toml
    """
    try:
        settings = _load(config, offline=offline)
        # Imported only now: the other commands start faster without a server's libraries.
        from registry.logs import configure_logs  # noqa: PLC0415
        from registry.server.master import serve_forever  # noqa: PLC0415

        configure_logs()
        path = find_config(config, os.environ)
        source = str(path.absolute()) if path else "defaults"
        started = serve_forever(settings, source, lambda: _load(config, offline=offline))
    except (SettingsError, StoreError) as error:
        fail(str(error), 2)
    if not started:
        raise typer.Exit(1)


def _load(config: Path | None, *, offline: bool) -> Settings:
    settings = load_settings(config, os.environ)
    return settings.model_copy(update={"offline": True}) if offline else settings
