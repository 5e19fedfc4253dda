"""The page of recorded outputs: it shows both runs of a command, and the help of today."""

import typer
from typer.testing import CliRunner

from registry.cli.main import build_cli
from tests.outputs.__main__ import PAGE
from tests.outputs.page import draw, read_outputs
from tests.outputs.runs import COLUMNS, Output
from tests.outputs.scenes import HELP, list_help
from tests.outputs.upstream_scenes import ENDPOINTS


def test_the_second_run_has_its_own_exit_code() -> None:
    """The run without a terminal is shown with its code, also if only the code differs."""
    page = draw([("Pins", [Output("images unpin app", 0, "unpinned", 1, "not pinned")])])
    assert "unpinned\n[exit 0]" in page
    assert "not pinned\n[exit 1]" in page
    assert draw([("Pins", [Output("x", 0, "same", 1, "same")])]).count("[exit 1]") == 1
    assert draw([("Pins", [Output("x", 0, "same", 0, "same")])]).count("[exit") == 1
    broken = "a line that\n  is broken"
    assert (
        draw([("Pins", [Output("x", 0, broken, 0, "a line that is broken")])]).count("[exit") == 1
    )
    named = "entrepot: data folder /srv/here\nsame"
    assert draw([("Pins", [Output("x", 0, named, 0, "same")])]).count("[exit") == 1


def test_a_section_is_read_as_it_was_written() -> None:
    """The texts of a section come back by their commands, without those of other sections."""
    outputs = [Output("", 0, "one\n\ntwo", 0, "one\n\ntwo"), Output("ls", 2, "", 1, "other")]
    page = draw([("Other", [Output("rm", 0, "x", 0, "x")]), ("Help", outputs), ("Last", outputs)])
    assert read_outputs(page, "Help") == {"": "one\n\ntwo", "ls": ""}


def test_the_recorded_help_is_that_of_today() -> None:
    """The page of outputs has the help of each command as it is now.

    If this fails, record the page again: python -m tests.outputs
    """
    cli, runner = build_cli(), CliRunner()
    width = COLUMNS - 2  # of the help in a terminal with this many columns
    commands = ["", *list_help(typer.main.get_command(cli)), "version"]
    today = {
        command: runner.invoke(
            cli, command.split(), prog_name="entrepot", terminal_width=width
        ).output.rstrip("\n")
        for command in commands
    }
    assert today == read_outputs(PAGE.read_text(encoding="utf-8"), HELP)


def test_the_docs_show_what_was_recorded() -> None:
    """The example of slow-links.md is the output of a real run, on the page of outputs."""
    recorded = read_outputs(PAGE.read_text(encoding="utf-8"), ENDPOINTS)
    page = (PAGE.parents[1] / "slow-links.md").read_text(encoding="utf-8")
    (shown,) = [text for command, text in recorded.items() if "--from" in command]
    assert f"```text\n{shown}\n```" in page
