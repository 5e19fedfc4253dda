"""`entrepot serve`: check everything, bind, then hand over to the supervisor."""

import os
from pathlib import Path
from typing import Annotated

import typer

from registry.cli.session import Config
from registry.errors import SettingsError, StoreError
from registry.settings.loading import find_config, load_settings
from registry.settings.model import Settings

_Offline = Annotated[
    bool, typer.Option("--offline", help="Open no connection: serve only what is here.")
]


def serve(config: Config = None, offline: _Offline = False) -> None:
    """Run the mirror until SIGTERM or Ctrl-C.

    Example: entrepot serve --config /etc/entrepot/entrepot.toml
    """
    try:
        settings = _load(config, offline=offline)
        # Imported only now: the other commands start faster without a server's libraries.
        from registry.server.master import serve_forever  # noqa: PLC0415

        source = find_config(config, os.environ)
        told = str(source.absolute()) if source else "defaults"
        could_run = serve_forever(settings, told, lambda: _load(config, offline=offline))
    except (SettingsError, StoreError) as error:
        typer.echo(f"entrepot: {error}", err=True)
        raise typer.Exit(2) from error
    if not could_run:
        raise typer.Exit(1)


def _load(config: Path | None, *, offline: bool) -> Settings:
    settings = load_settings(config, os.environ)
    return settings.model_copy(update={"offline": True}) if offline else settings
