"""The pages of settings and commands are those of today, and leave nothing out."""

import re
from dataclasses import fields

import pytest
import typer

from registry.cli.help import list_commands
from registry.cli.main import build_cli
from registry.settings.fields import Section
from registry.settings.model import Settings
from tests.documents.commands import build_commands_page
from tests.documents.places import COMMANDS_PAGE, SETTINGS_PAGE
from tests.documents.settings import build_settings_page

AGAIN = "write it again: python -m tests.documents"


def test_the_page_of_settings_is_that_of_today() -> None:
    """It has the texts of config/entrepot.toml, and the kinds and defaults of the code."""
    assert build_settings_page() == SETTINGS_PAGE.read_text(encoding="utf-8"), AGAIN


def test_the_page_of_commands_is_that_of_today() -> None:
    """It has what `--help` has."""
    assert build_commands_page() == COMMANDS_PAGE.read_text(encoding="utf-8"), AGAIN


@pytest.mark.parametrize("model", [each for each in Section.__subclasses__() if each != Settings])
def test_every_setting_is_on_the_page(model: type[Section]) -> None:
    """In a heading, or in a table of fields; `password` is only in files that are named."""
    text = SETTINGS_PAGE.read_text(encoding="utf-8")
    places = re.findall(r"^(?:#.*|\| `.*?` \|)", text, re.MULTILINE)
    names = set(re.findall(r"[a-z_]+", " ".join(places)))

    assert {each.name for each in fields(model)} - names - {"password"} == set()


def test_every_command_has_a_heading() -> None:
    """Groups and their commands."""
    context = typer.main.get_command(build_cli()).make_context("entrepot", ["version"])
    text = COMMANDS_PAGE.read_text(encoding="utf-8")

    assert [*list_commands(context)] == re.findall(r"^#{2,3} entrepot (.*)$", text, re.MULTILINE)
