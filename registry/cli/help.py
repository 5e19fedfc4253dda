"""How `--help` looks: text that flows, and arguments as they are typed, without Python's types."""

from typing import TYPE_CHECKING, Any

from typer.core import TyperCommand, TyperGroup

if TYPE_CHECKING:
    import typer


class Command(TyperCommand):
    """A command of which the arguments are called by their metavars alone."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:  # noqa: ARG002
        """Return what follows the command's name in the line of its usage."""
        return [self.options_metavar or "", *(name for name, _ in self._list_arguments())]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments and the options."""
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
    """Commands, each with the whole of its first paragraph."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write what each command does."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(
                [
                    (name, " ".join((each.help or "").partition("\n\n")[0].split()))
                    for name, each in commands
                    if each is not None
                ]
            )


def apply_help_style(app: "typer.Typer") -> None:
    """Have all commands of an app, and of those inside, show their help so."""
    app.info.cls = Group
    for command in app.registered_commands:
        command.cls = Command
    for group in app.registered_groups:
        if group.typer_instance is not None:
            apply_help_style(group.typer_instance)
