"""The form of `--help`: paragraphs as wide as the terminal, arguments as people type them.

A command that does not exist is answered with the commands that are like it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import takewhile
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from registry.cli.lines import print_line
from registry.cli.messages import warn
from registry.cli.suggestions import format_unknown

_USAGE_ERROR: Any = typer.BadParameter.__base__  # of all errors about arguments


class Command(TyperCommand):
    """A command whose help shows arguments by their metavars, without the types of Python."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:  # noqa: ARG002
        """Return what follows the name of the command in the usage line."""
        return [self.options_metavar or "", *(name for name, _ in self._list_arguments())]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the lists of arguments and options."""
        options = [
            each.get_help_record(ctx)
            for each in self.get_params(ctx)
            if each.param_type_name == "option"
        ]
        for title, records in (("Arguments", self._list_arguments()), ("Options", options)):
            if records:
                with formatter.section(title):
                    formatter.write_dl([each for each in records if each is not None])

    def _list_arguments(self) -> list[tuple[str, str]]:
        arguments: list[Any] = [each for each in self.params if each.param_type_name == "argument"]
        return [(each.metavar or each.name.upper(), each.help or "") for each in arguments]


class Group(TyperGroup):
    """A group whose help shows the whole first paragraph of each command."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the list of commands and what each does."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(
                [
                    (name, " ".join((each.help or "").partition("\n\n")[0].split()))
                    for name, each in commands
                    if each is not None
                ]
            )

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Refuse an option of the commands that stands before the command."""
        if args and args[0].partition("=")[0] == "--config":
            ctx.fail("--config comes after the command: entrepot config check --config FILE")
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return a command by its name; for an unknown name, end with those that are like it."""
        if args[0].startswith("-") or self.get_command(ctx, args[0]) is not None:
            return super().resolve_command(ctx, args)
        groups = [ctx.info_name] if ctx.parent else []
        words = [*takewhile(lambda word: not word.startswith("-"), args)]
        options = args[len(words) :]
        commands = list_commands(ctx.find_root())
        return ctx.fail(format_unknown([*groups, *words], commands, options))


@contextmanager
def plain_usage_errors() -> Iterator[None]:
    """Let errors about arguments, which the library raises, be printed as ours are."""
    try:
        yield
    except _USAGE_ERROR as error:
        error.show = partial(_print_usage_error, error)
        raise


def _print_usage_error(error: Any) -> None:
    if error.ctx is not None:
        print_line(error.ctx.get_usage(), err=True)
        print_line(f"Try '{error.ctx.command_path} -h' for help.\n", err=True)
    message = error.format_message()
    warn(message[:1].lower() + message[1:].removesuffix("."))


def list_commands(context: Any) -> Iterator[str]:
    """Yield every group and command of the program with this context: `images`, `images ls`."""
    for name in context.command.list_commands(context):
        yield name
        found = context.command.get_command(context, name)
        if isinstance(found, TyperGroup):
            yield from (f"{name} {each}" for each in found.list_commands(context))


def apply_help_style(app: typer.Typer) -> None:
    """Apply this form of help to all commands of an app, and of the apps inside it."""
    app.info.cls = Group
    for command in app.registered_commands:
        command.cls = Command
    for group in app.registered_groups:
        if group.typer_instance is not None:
            apply_help_style(group.typer_instance)
