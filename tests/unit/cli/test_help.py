"""Laws of `--help`, of every command: it reads as text, and shows what is typed."""

import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from registry.cli.main import build_cli


def list_commands(command: Any, *words: str) -> Iterator[tuple[str, ...]]:
    yield words
    if hasattr(command, "commands"):
        for name in command.list_commands(CONTEXT):
            yield from list_commands(command.get_command(CONTEXT, name), *words, name)


CLI: Any = typer.main.get_command(build_cli())
CONTEXT: Any = CLI.make_context("entrepot", [])
COMMANDS = list(list_commands(CLI))


def show(words: tuple[str, ...], columns: int = 80) -> str:
    environment = {"COLUMNS": str(columns), "TTY_COMPATIBLE": "1"}
    return CliRunner().invoke(build_cli(), [*words, "--help"], env=environment).stdout


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_has_no_types_of_python(words: tuple[str, ...]) -> None:
    """Neither those nor brackets within brackets say what to type."""
    told = show(words)
    assert re.findall(r"<(?:bool|path|int|list)\b[^|]*?>|list\[|\{|\[\[", told) == []
    assert max(map(len, told.splitlines())) <= 80


@pytest.mark.parametrize("columns", [80, 110])
def test_paragraphs_flow(columns: int) -> None:
    """A line ends where the next word would not fit, not where that of the source does."""
    (paragraph,) = re.findall(
        r"  (With --offline.*?)\n\n", show(("images", "ls"), columns), re.DOTALL
    )
    lines = [line.strip() for line in paragraph.splitlines()]
    for line, following in pairwise(lines):
        assert len(f"  {line} {following.split()[0]}") > 76


def test_usage_is_spelt_once() -> None:
    """What may be repeated is followed by three dots, and not by six."""
    told = {" ".join(words): show(words).splitlines()[0] for words in COMMANDS}
    assert told["bundle check"].endswith("check [OPTIONS] BUNDLE... [IMAGE...]")
    assert told["bundle diff"].endswith("diff [OPTIONS] FORMER LATTER")
    assert told["images ls"].endswith("ls [OPTIONS] [IMAGE]...")


def test_groups_tell_whole_sentences() -> None:
    """What a command does is not cut off in a list."""
    told = " ".join(show(("bundle",)).split())
    assert "Join volumes to the one file that docker, podman and ctr can read." in told


def test_serve_imports_no_other_command() -> None:
    """What the groups of commands need is imported for those who call them."""
    code = "import sys, registry.cli.main; print(*sys.modules)"
    told = subprocess.check_output([sys.executable, "-c", code], text=True).split()
    assert "registry.cli.serve" in told
    assert {
        "registry.cli.bundle.commands",
        "registry.cli.images.commands",
        "yaml",
        "cryptography",
    } & {*told} == set()
