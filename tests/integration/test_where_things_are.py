"""On a terminal, commands say which data folder they use, and whether a server is using it."""

from pathlib import Path

import pytest

from registry.store.data_folder import open_folder
from tests.conftest import MirrorMaker
from tests.harness.commands import run_command
from tests.outputs.runs import Runner


def test_a_command_names_its_data_folder(make_mirror: MirrorMaker) -> None:
    """It is the first line on a terminal; with --quiet and in a script it is not there."""
    mirror = make_mirror(workers=1)
    words = ("images", "ls", "--config", str(mirror.config))
    named = f"entrepot: data folder {mirror.data}"
    runner = Runner({"COLUMNS": "300"}, {})  # the folder of the test is long

    running = runner.run(*words)
    quiet = runner.run(*words, "--quiet", again=False)
    mirror.stop()
    stopped = runner.run(*words, again=False)

    assert running.on_terminal.splitlines()[0] == f"{named}, which a server is using"
    assert stopped.on_terminal.splitlines()[0] == named
    assert "data folder" not in running.elsewhere
    assert "data folder" not in quiet.on_terminal


def test_data_of_version_0_1_is_found_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the folder that version 0.1 was called in, its data is used, and how to go on is said."""
    (tmp_path / "settings").mkdir()
    config = tmp_path / "settings" / "entrepot.toml"
    config.touch()
    here = tmp_path / "here"
    here.mkdir()
    open_folder(here / "data")
    words = ("images", "ls", "--config", str(config))
    monkeypatch.chdir(here)

    found = run_command(*words).stderr
    monkeypatch.chdir(tmp_path)
    elsewhere = run_command(*words).stderr

    assert f"{here}/data is used, because an earlier version kept its data" in found
    assert f'storage.path = "{here}/data"' in found
    assert f"{tmp_path}/settings/data does not exist" in elsewhere
    assert "earlier version" not in elsewhere
