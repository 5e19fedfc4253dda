"""The `entrepot` command; the other files have its sub-commands."""

import json
from collections.abc import Sequence
from importlib import import_module
from types import MappingProxyType
from typing import Any, NoReturn

import typer

from registry import __version__
from registry.cli.help import Group, apply_help_style, plain_usage_errors
from registry.cli.serve import HandOver, serve
from registry.cli.session import Json
from registry.cli.status import show_status
from registry.errors.masking import mask_crashes

# Imported only when one of their commands is run, so that `serve` starts a third faster.
_GROUPS = MappingProxyType(
    {
        "config": ("registry.cli.config", "build_config_app"),
        "images": ("registry.cli.images.commands", "build_images_app"),
        "cache": ("registry.cli.cache", "build_cache_app"),
        "bundle": ("registry.cli.bundle.commands", "build_bundle_app"),
        "users": ("registry.cli.accounts.users", "build_users_app"),
        "tokens": ("registry.cli.accounts.tokens", "build_tokens_app"),
        "pulls": ("registry.cli.accounts.pulls", "build_pulls_app"),
        "tls": ("registry.cli.certificates", "build_tls_app"),
        "upstreams": ("registry.cli.upstreams.commands", "build_upstreams_app"),
    }
)
_COMMANDS = MappingProxyType(
    {
        "doctor": ("registry.cli.doctor.command", "examine"),
        "top": ("registry.cli.top.command", "show_top"),
        "setup": ("registry.cli.setup.command", "set_up_client"),
    }
)


class _Entrepot(Group):
    """The command; it imports other commands, and groups of them, only when they are used."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command or a group by its name."""
        if cmd_name in (*_COMMANDS, *_GROUPS) and cmd_name not in self.commands:
            make = _make_command if cmd_name in _COMMANDS else _make_group
            self.commands[cmd_name] = make(cmd_name)
        return super().get_command(ctx, cmd_name)

    def make_context(self, *args: Any, **extra: Any) -> Any:
        """Read the first words of the command line."""
        with plain_usage_errors():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; its own words are read now."""
        with plain_usage_errors():
            return super().invoke(ctx)

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all commands and groups."""
        return [*dict.fromkeys((*super().list_commands(ctx), *_COMMANDS, *_GROUPS))]


def _make_command(name: str) -> Any:
    module, function = _COMMANDS[name]
    app = _make_app()
    app.command(name)(getattr(import_module(module), function))
    app.callback()(_do_nothing)  # with a single command, an app would be that command itself
    apply_help_style(app)
    made: Any = typer.main.get_command(app)
    return made.commands[name]


def _do_nothing() -> None:
    """Nothing is common to the commands of the app."""


def _make_group(name: str) -> Any:
    module, build = _GROUPS[name]
    app = _make_app()
    app.add_typer(getattr(import_module(module), build)(), name=name)
    apply_help_style(app)
    made: Any = typer.main.get_command(app)
    return made.commands[name]


def _make_app(*, add_completion: bool = False, **about: Any) -> typer.Typer:
    # With markup, typer would keep the line breaks of the docstrings.
    return typer.Typer(
        add_completion=add_completion,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        **about,
    )


def build_cli() -> typer.Typer:
    """Return the command line."""
    cli = _make_app(
        name="entrepot",
        help="A private mirror of container registries: every blob is downloaded once.",
        add_completion=True,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    cli.command()(serve)
    cli.command("status")(show_status)
    cli.command("version")(print_version)
    apply_help_style(cli)
    cli.callback(cls=_Entrepot, invoke_without_command=True)(_describe)
    return cli


def _describe(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version.", is_eager=True),
) -> None:
    if version:
        print_version()
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def print_version(as_json: Json = False) -> None:
    """Print the version of Entrepôt.

    Example: entrepot version --json
    """
    typer.echo(json.dumps({"version": __version__}) if as_json else f"entrepot {__version__}")


def run(arguments: Sequence[str], hand_over: HandOver | None = None) -> NoReturn:
    """Run the command line; `serve` gives what it has read to `hand_over`.

    Raises:
        SystemExit: always, with the exit code.
    """
    mask_crashes()
    # The name is given for `python -m registry`.
    build_cli()(list(arguments), prog_name="entrepot", obj=hand_over)
    raise SystemExit  # typer has done this already
