"""`entrepot config`: is the configuration usable, and what does it come to?"""

import json
import os
from collections.abc import Mapping
from typing import Any, NoReturn

import typer

from registry.cli.session import Config, Json
from registry.errors import SettingsError
from registry.settings.loading import find_config, load_settings
from registry.settings.values import format_key


def build_config_app() -> typer.Typer:
    """Return the sub-command `config` with `check` and `show`."""
    app = typer.Typer(
        help="Check and show the configuration: defaults, file, environment and secrets together.",
        no_args_is_help=True,
    )
    app.command("check")(check_config)
    app.command("show")(show_config)
    return app


def check_config(config: Config = None, as_json: Json = False) -> None:
    """Say whether the configuration can be used; exit 2 with one line if not.

    Example: entrepot config check --config /etc/entrepot/entrepot.toml
    """
    try:
        path = find_config(config, os.environ)
        settings = load_settings(config, os.environ)
    except SettingsError as error:
        _refuse(error, as_json=as_json)
    count = len(settings.upstreams)
    if as_json:
        file = None if path is None else str(path)
        typer.echo(json.dumps({"ok": True, "file": file, "upstreams": count}))
    else:
        typer.echo(f"ok: {path or 'defaults (no file)'}, {count} upstreams")


def show_config(config: Config = None, as_json: Json = False) -> None:
    """Print every setting as it applies, with passwords as asterisks.

    But for a proxy's password, the output can be used as a configuration file.

    Example: ENTREPOT_STORAGE__LIMIT=200GiB entrepot config show
    """
    try:
        settings = load_settings(config, os.environ)
    except SettingsError as error:
        _refuse(error, as_json=as_json)
    tables = settings.dump()
    typer.echo(json.dumps(tables, indent=2) if as_json else "\n".join(_print_toml(tables)))


def _refuse(error: SettingsError, *, as_json: bool) -> NoReturn:
    if as_json:
        facts = {"ok": False, "key": error.key, "why": error.why, "cure": error.cure}
        typer.echo(json.dumps(facts))
    typer.echo(f"entrepot: {error}", err=True)
    raise typer.Exit(2) from error


def _print_toml(table: Mapping[str, Any], head: str = "") -> list[str]:
    """Return the lines of a table: its values, then its tables.

    The strings, numbers, booleans and lists of JSON are those of TOML, except for one character.
    """
    lines = [
        f"{format_key([key])} = {json.dumps(value, ensure_ascii=False)}".replace("\x7f", "\\u007f")
        for key, value in table.items()
        if not isinstance(value, dict)
    ]
    for key, value in table.items():
        if isinstance(value, dict):
            name = f"{head}{format_key([key])}"
            lines += ["", f"[{name}]", *_print_toml(value, f"{name}.")]
    return lines
