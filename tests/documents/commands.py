"""docs/commands.md: each command with its arguments and options, as `--help` has them."""

import inspect
import re
from collections.abc import Iterator
from typing import Any

import typer

from registry.cli.help import list_commands
from registry.cli.main import build_cli

_HEAD = """\
# Commands

<!-- Written by `python -m tests.documents` from the commands themselves. -->

Each command with its arguments and options, as `--help` (`-h`) shows them. The exit code is 0 if
all is well, 1 if something is missing, wrong or failed, 2 if the command was used in a wrong way,
and 130 after Ctrl-C. [Commands in scripts](operations.md#commands-in-scripts) describes `--json`
and `--quiet`.

"""
_EXAMPLE = re.compile(r"^Examples?: *(.*)", re.DOTALL)


def build_commands_page() -> str:
    """Return the text of the page."""
    cli: Any = typer.main.get_command(build_cli())  # of whichever click Typer brings
    context = cli.make_context("entrepot", ["version"])
    parts = [_HEAD]
    for name in list_commands(context):
        command, inner = _find(context, name.split())
        level = "##" if " " not in name else "###"
        parts.append(f"{level} entrepot {name}\n\n")
        parts += _write_command(command, inner)
    return "".join(parts).rstrip("\n") + "\n"


def _find(context: Any, words: list[str]) -> tuple[Any, Any]:
    """Return a command or group, and its context."""
    command = context.command
    for word in words:
        command = command.get_command(context, word)
        context = type(context)(command, info_name=word, parent=context)
    return command, context


def _write_command(command: Any, context: Any) -> Iterator[str]:
    paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    yield from (_write_paragraph(each) for each in paragraphs)
    if hasattr(command, "commands"):  # a group, which has no options of its own
        return
    usage = " ".join(command.collect_usage_pieces(context))
    yield f"```text\n{context.command_path} {usage}\n```\n\n"
    arguments = [
        (each.metavar or each.name.upper(), each.help or "")
        for each in command.params
        if each.param_type_name == "argument"
    ]
    options = [
        each.get_help_record(context)
        for each in command.get_params(context)
        if each.param_type_name == "option" and "--help" not in each.opts
    ]
    rows = [*arguments, *(each for each in options if each is not None)]
    if not rows:
        return
    yield "| argument or option | means |\n| --- | --- |\n"
    yield from (f"| `{_escape(names)}` | {_escape_text(text)} |\n" for names, text in rows)
    yield "\n"


def _write_paragraph(text: str) -> str:
    found = _EXAMPLE.match(text)
    if found is None:
        return f"{_escape_text(text)}\n\n"
    lines = "\n".join(line.strip() for line in found[1].splitlines())
    return f"```sh\n{lines}\n```\n\n"


def _escape(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _escape_text(text: str) -> str:
    pieces = re.split(r"(`[^`]*`)", _escape(text))
    pieces[::2] = [re.sub(r"([*\[\]])", r"\\\1", each) for each in pieces[::2]]
    pieces[::2] = [each.replace("<", "&lt;") for each in pieces[::2]]
    return "".join(pieces)
