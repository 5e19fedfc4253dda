"""Which command is suggested for one that does not exist."""

import pytest
import typer
from typer.testing import CliRunner

from registry.cli.help import list_commands
from registry.cli.main import build_cli
from registry.cli.suggestions import format_unknown, suggest_commands


def list_real() -> list[str]:
    cli = typer.main.get_command(build_cli())
    return list(list_commands(cli.make_context("entrepot", ["version"])))


REAL = list_real()


@pytest.mark.parametrize(
    ("typed", "suggested"),
    [
        ("image ls", ["images ls"]),
        ("images list", ["images ls"]),
        ("imges warm", ["images warm"]),
        ("IMAGES LS", ["images ls"]),
        ("ls", ["images ls", "users ls", "tokens ls", "pulls ls", "upstreams ls"]),
        ("import b.tar", ["bundle import"]),
        ("images evict", ["cache evict"]),
        ("cache stat", ["cache stats"]),
        ("image", ["images"]),
        ("pull nginx", ["images warm"]),
        ("images delete", ["images rm"]),
        ("show", ["config show", "images show"]),
        ("nginx", []),
        ("--", []),
    ],
)
def test_the_most_alike_commands_are_suggested(typed: str, suggested: list[str]) -> None:
    """A misspelt group, a command without its group, and the words of other programs are known."""
    assert suggest_commands(typed.split(), REAL) == suggested


@pytest.mark.parametrize("command", [each for each in REAL if " " in each])
def test_each_command_is_found_by_its_misspelt_name(command: str) -> None:
    """Without one letter, or without its group, a command is among the suggestions for it."""
    group, name = command.split()
    assert command in suggest_commands([group[:-1], name], REAL)
    assert command in suggest_commands([name], REAL)


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (["image", "ls"], "'image ls'; did you mean: entrepot images ls\n"),
        (["images", "list", "--json"], "'images list'; did you mean: entrepot images ls --json\n"),
        (["pull", "nginx"], "'pull nginx'; did you mean: entrepot images warm nginx\n"),
        (["image", "rm", "a b"], "'image rm'; did you mean: entrepot images rm 'a b'\n"),
        (
            ["bundle", "load", "x.tar"],
            "'bundle load'; did you mean: entrepot bundle import x.tar\n",
        ),
        (["frobnicate"], "'frobnicate'; list the commands: entrepot --help\n"),
    ],
)
def test_a_command_that_does_not_exist_is_answered_with_one(words: list[str], advice: str) -> None:
    """The last line names the command that was meant; the exit code is 2."""
    done = CliRunner().invoke(build_cli(), words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.endswith(f"entrepot: there is no command {advice}")


@pytest.mark.parametrize("words", [["--config", "x.toml"], ["--config=x.toml"]])
@pytest.mark.parametrize("group", [[], ["config"]])
def test_an_option_before_the_command_is_explained(words: list[str], group: list[str]) -> None:
    """Other programs take such an option there."""
    done = CliRunner().invoke(build_cli(), [*group, *words, "check"])
    assert done.exit_code == 2
    assert "--config comes after the command" in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["images", "pin"], "missing argument 'IMAGE...'"),
        (["images", "ls", "--jsno"], "no such option: --jsno (Possible options: --json, --sort)"),
        (
            ["images", "warm", "app", "--concurrency", "many"],
            "invalid value for '--concurrency': 'many' is not a whole number from 1 to 64",
        ),
        (["--nosuch"], "no such option: --nosuch"),
    ],
)
def test_a_wrong_argument_is_said_as_other_errors(words: list[str], message: str) -> None:
    """The last line begins with the name of the program; the lines before it show the usage."""
    done = CliRunner().invoke(build_cli(), words, prog_name="entrepot")
    assert (done.exit_code, done.stdout) == (2, "")
    usage, advice, empty, last = done.stderr.splitlines()
    assert usage.startswith("Usage: entrepot ")
    assert (advice.startswith("Try 'entrepot"), empty) == (True, "")
    assert last == f"entrepot: {message}"


@pytest.mark.parametrize("typed", [["images", "wram", "x"], ["images", "lst"]])
def test_what_was_typed_is_not_suggested(typed: list[str]) -> None:
    """The group is right, so that it alone is like what was typed."""
    said = format_unknown(typed, ["images", "images warm", "images ls"])
    assert f"entrepot {' '.join(typed)}" not in said
    assert "did you mean: entrepot images " in said
