"""Laws of `entrepot config`: what it prints, and with which exit code."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from registry.cli.config import build_config_app
from registry.settings.loading import load_settings
from registry.settings.model import Settings

BAD = "entrepot: some.toml: storage.limt: no such setting; did you mean storage.limit?\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: str, **environ: str) -> Result:
    return CliRunner().invoke(build_config_app(), words, env=environ)


def test_check_accepts() -> None:
    """A usable file is named, with the number of upstreams."""
    Path("some.toml").write_text('[upstreams."registry.lan"]')

    result = run("check", "--config", "some.toml")

    assert (result.exit_code, result.stdout) == (0, "ok: some.toml, 9 upstreams\n")


def test_check_accepts_the_defaults() -> None:
    """No file at all is usable."""
    assert run("check").stdout == "ok: defaults (no file), 8 upstreams\n"


@pytest.mark.parametrize("command", ["check", "show"])
def test_bad_configuration_is_one_line(command: str) -> None:
    """An unusable file is one line on stderr and exit code 2."""
    Path("some.toml").write_text("storage.limt = 1")

    result = run(command, "--config", "some.toml")

    assert (result.exit_code, result.stdout, result.stderr) == (2, "", BAD)


def test_bad_configuration_as_json() -> None:
    """With --json the key, the reason and the cure of an error are separate fields."""
    result = run("check", "--json", ENTREPOT_STORAGE__LIMIT="x")

    assert result.exit_code == 2
    assert json.loads(result.stdout)["key"] == "storage.limit"


def test_check_as_json() -> None:
    """With --json the answer is one JSON object."""
    answer = json.loads(run("check", "--json").stdout)

    assert answer == {"ok": True, "file": None, "upstreams": 8}


def test_shown_configuration_loads_to_the_same(folder: Path) -> None:
    """What `show` prints is a configuration file."""
    (folder / "secret").write_text("hunter2")
    (folder / "some.toml").write_text(
        '[tags]\nimmutable = [\'v\\d+"\\.\\d+\']\n[upstreams."lan-1:5000"]\ndefault = true\n'
        'username = "ü"\npassword_file = "secret"\nendpoints = ["http://lan-1:5000"]'
    )
    settings = load_settings(folder / "some.toml", {})

    shown = run("show", "--config", "some.toml").stdout
    (folder / "shown.toml").write_text(shown)

    assert settings == load_settings(folder / "shown.toml", {})
    assert "hunter2" not in shown


def test_show_as_json_reads_the_same() -> None:
    """With --json `show` prints the same settings."""
    assert Settings() == Settings.model_validate(json.loads(run("show", "--json").stdout))


@pytest.mark.parametrize("command", ["check", "show"])
def test_help_has_an_example(command: str) -> None:
    """Every command shows how it is used."""
    result = run(command, "--help")

    assert (result.exit_code, "Example: " in result.stdout) == (0, True)
