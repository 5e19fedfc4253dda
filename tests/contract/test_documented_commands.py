"""Every `entrepot` command in the documents exists, with its options."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from registry.cli.main import build_cli

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("README.md", *(f"docs/{page.name}" for page in sorted((ROOT / "docs").glob("*.md"))))
CLI: Any = typer.main.get_command(build_cli())  # of whichever click Typer brings
CONTEXT: Any = CLI.make_context("entrepot", [])


def list_commands(page: str) -> Iterator[str]:
    """Yield the commands of a page's shell blocks, and those in backquotes."""
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    for line in "\n".join(blocks).replace("\\\n", " ").splitlines():
        yield from re.findall(r"(?:^|\| )(entrepot .*?)(?: >.*)?$", line.partition("    #")[0])
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    yield from re.findall(r"`(entrepot [a-z][^`\[]*?)`", prose)


def find_command(words: list[str]) -> tuple[Any, list[str]]:
    """Return what is run, and the arguments it is given."""
    command = CLI
    while words and hasattr(command, "commands"):
        inner = command.get_command(CONTEXT, words[0])
        if inner is None:
            break
        command, words = inner, words[1:]
    return command, words


@pytest.mark.parametrize("page", PAGES)
def test_commands_in_documents_exist(page: str) -> None:
    """What is copied from a page is never answered with a usage message."""
    wrong = []
    for line in list_commands(page):
        command, arguments = find_command(shlex.split(line, comments=True)[1:])
        if hasattr(command, "commands") and (arguments or command is CLI):  # not a group alone
            wrong.append(f"{line}: no such command")
            continue
        known = {name for each in command.params for name in each.opts + each.secondary_opts}
        unknown = [each for each in arguments if re.match("--?[a-z]", each) and each not in known]
        wrong += [f"{line}: no option {each}" for each in unknown]
    assert wrong == []


def test_the_way_through_a_gap_has_every_command_of_bundles() -> None:
    """No command of `bundle` is left for people to find out about."""
    listed = "\n".join(list_commands("docs/airgap.md"))
    names = CLI.get_command(CONTEXT, "bundle").commands
    assert names
    assert [name for name in names if f"entrepot bundle {name} " not in listed] == []
