"""Laws of `--help` of every command: its form, its words, and what people have to type."""

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
RIDDLES = re.compile(
    r"\b(?:lacks?|lacking|rotten|orphans?|ghosts?|arriving|steward|is none|whole|left alone"
    r"|set aside|judged?|told|tells|budget|room)\b"
)


def show(words: tuple[str, ...], columns: int = 80) -> str:
    environment = {"COLUMNS": str(columns), "TTY_COMPATIBLE": "1"}
    return CliRunner().invoke(build_cli(), [*words, "--help"], env=environment).stdout


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_has_no_types_of_python(words: tuple[str, ...]) -> None:
    """There are no types and no nested brackets, and each line fits a terminal."""
    text = show(words)
    assert re.findall(r"<(?:bool|path|int|list)\b[^|]*?>|list\[|\{|\[\[", text) == []
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_is_in_plain_words(words: tuple[str, ...]) -> None:
    """No word has to be guessed, and every command has an example."""
    text = " ".join(show(words).split())
    assert RIDDLES.findall(text) == []
    is_group = "COMMAND [ARGS]" in text
    assert is_group or f"entrepot {' '.join(words)}" in text.partition("Example: ")[2]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_an_example_is_one_line(words: tuple[str, ...]) -> None:
    """A command that is broken over two lines cannot be copied."""
    assert re.findall(r"^  Example: .*\n.+", show(words), re.MULTILINE) == []


@pytest.mark.parametrize("columns", [80, 110])
def test_paragraphs_flow(columns: int) -> None:
    """Paragraphs are filled: line breaks of the source are not kept."""
    (paragraph,) = re.findall(
        r"  (With --offline.*?)\n\n", show(("images", "ls"), columns), re.DOTALL
    )
    lines = [line.strip() for line in paragraph.splitlines()]
    for line, following in pairwise(lines):
        assert len(f"  {line} {following.split()[0]}") > 76


def test_usage_is_spelt_once() -> None:
    """An argument that may be repeated is followed by three dots once."""
    usage = {" ".join(words): show(words).splitlines()[0] for words in COMMANDS}
    assert usage["bundle check"].endswith("check [OPTIONS] BUNDLE... [IMAGE...]")
    assert usage["bundle diff"].endswith("diff [OPTIONS] OLD NEW")
    assert usage["images ls"].endswith("ls [OPTIONS] [IMAGE]...")


def test_groups_show_complete_sentences() -> None:
    """The first paragraph about a command is not cut off in the list of commands."""
    text = " ".join(show(("bundle",)).split())
    assert "Join volumes into one file, which docker, podman and ctr can read." in text


def test_serve_imports_no_other_command() -> None:
    """A group of commands is imported only when one of its commands is run."""
    code = "import sys, registry.cli.main; print(*sys.modules)"
    modules = subprocess.check_output([sys.executable, "-c", code], text=True).split()
    assert "registry.cli.serve" in modules
    assert {
        "registry.cli.bundle.commands",
        "registry.cli.images.commands",
        "registry.reports.json",
        "rich",
        "yaml",
        "cryptography",
    } & {*modules} == set()
