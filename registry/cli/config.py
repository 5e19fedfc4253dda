"""`entrepot config`: whether the configuration can be used, and which settings apply."""

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

import typer

from registry.cli.messages import warn
from registry.cli.printing import print_report
from registry.cli.session import Config, Json
from registry.errors import SettingsError
from registry.reports.configuration import ConfigurationFault, UsableConfiguration
from registry.settings.loading import find_config, load_settings
from registry.settings.values import format_key


def build_config_app() -> typer.Typer:
    """Return the sub-command `config` with `check` and `show`."""
    app = typer.Typer(
        help="Check and show the settings: defaults, file, environment and secrets together.",
        no_args_is_help=True,
    )
    app.command("check")(check_config)
    app.command("show")(show_config)
    return app


def check_config(config: Config = None, as_json: Json = False) -> None:
    """Check whether the configuration can be used; exit 2 with one line if not.

    Example: entrepot config check --config /etc/entrepot/entrepot.toml
    """
    try:
        path = find_config(config, os.environ)
        settings = load_settings(config, os.environ)
    except SettingsError as error:
        _refuse(error, as_json=as_json)
    report = UsableConfiguration(path, len(settings.upstreams))
    print_report(report, _draw_check, as_json=as_json)


def _draw_check(report: UsableConfiguration) -> Iterator[str]:
    yield f"ok: {report.file or 'defaults (no file)'}, {report.upstreams} upstreams"


def show_config(config: Config = None, as_json: Json = False) -> None:
    """Print every setting that applies, with passwords as asterisks.

    The output can be used as a configuration file, except for the password of a proxy.

    Example: ENTREPOT_STORAGE__LIMIT=200GiB entrepot config show
    """
    try:
        settings = load_settings(config, os.environ)
    except SettingsError as error:
        _refuse(error, as_json=as_json)
    print_report(settings.dump(), _draw_toml, as_json=as_json)


def _refuse(error: SettingsError, *, as_json: bool) -> NoReturn:
    fault = ConfigurationFault(error.key, error.why, error.cure)
    print_report(fault, lambda _: (), as_json=as_json)  # without --json, only stderr has a line
    warn(str(error))
    raise typer.Exit(2) from error


def _draw_toml(table: Mapping[str, Any], head: str = "") -> Iterator[str]:
    """Yield the lines of a table: its values, then its tables.

    Strings, numbers, booleans and lists are written in TOML as in JSON, except for one character.
    """
    for key, value in table.items():
        if not isinstance(value, dict):
            text = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
            yield f"{format_key([key])} = {text}"
    for key, value in table.items():
        if isinstance(value, dict):
            name = f"{head}{format_key([key])}"
            yield ""
            yield f"[{name}]"
            yield from _draw_toml(value, f"{name}.")
