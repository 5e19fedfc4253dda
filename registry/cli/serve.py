"""`entrepot serve`: its command line, which another process reads for it."""

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated

import typer

from registry.cli.addresses import read_address
from registry.cli.messages import report_errors, warn
from registry.cli.serve_options import ServeCommand, ServeOptions
from registry.cli.session import Config
from registry.settings.access_notes import list_ineffective
from registry.settings.changes import compare
from registry.settings.configuration import Configuration, Reload
from registry.settings.exposure import list_exposed
from registry.settings.loading import load_configuration
from registry.settings.model import Settings
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
HandOver = Callable[[ServeCommand], None]


def serve(
    context: typer.Context, config: Config = None, listen: _Listen = None, offline: _Offline = False
) -> None:
    """Run the mirror until SIGTERM or Ctrl-C. On a terminal, each pull is shown as one line.

    Example: entrepot serve --listen 0.0.0.0:5000
    """
    options = ServeOptions(config, listen, offline)
    with report_errors():
        configuration = load(options)
    settings = configuration.settings
    exposed = list_exposed(settings, configuration.file)
    doubtful = (*list_without_trusted(settings), *list_ineffective(settings))
    for note in (configuration.note, *exposed, *doubtful):
        if note:
            warn(note)
    hand_over: HandOver = context.obj
    hand_over(ServeCommand(options, configuration))


def load(options: ServeOptions) -> Configuration:
    """Load the settings of a server.

    Raises:
        SettingsError: as for `load_configuration`.
    """
    # As a variable, which counts more than the file, so that it is checked like all settings.
    given = {} if options.listen is None else {"ENTREPOT_SERVER__LISTEN": str(options.listen)}
    configuration = load_configuration(options.config, {**os.environ, **given})
    if not options.offline:
        return configuration
    return replace(configuration, settings=replace(configuration.settings, offline=True))


def reload(options: ServeOptions, former: Settings) -> Reload:
    """Load the settings of a running server again, and compare them with the `former` ones.

    Raises:
        SettingsError: as for `load_configuration`.
    """
    return compare(former, load(options))
