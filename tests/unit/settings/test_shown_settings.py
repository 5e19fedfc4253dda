"""Laws of what `entrepot config` says of rates, of prefetches, and of where settings are from."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from registry.cli.config import build_config_app
from registry.settings.loading import load_settings


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for key in ("LISTEN", "CONSOLE"):  # the usual ports may be taken on this machine
        monkeypatch.setenv(f"ENTREPOT_SERVER__{key}", "127.0.0.1:0")
    return tmp_path


def run(*words: str, **environ: str) -> Result:
    return CliRunner().invoke(build_config_app(), words, env=environ)


def test_check_says_which_rate_applies() -> None:
    """Also at the times that the setting does not name."""
    Path("some.toml").write_text(
        "[upstreams.'docker.io']\nmax_rate = '00:00-12:00=2MiB, 12:00-24:00=2MiB'\n"
    )
    note = 'note: upstreams."docker.io".max_rate: 2MiB a second now ('
    text = "00:00-12:00=2MiB, 12:00-24:00=2MiB, *=unlimited, local time)"
    assert f"{note}{text}" in run("check", "--config", "some.toml").stdout


def test_shown_prefetches_load_to_the_same(folder: Path) -> None:
    """Each is a table, and has the one of `at` and `every` that it was given."""
    tables = "[[prefetch]]\nname = 'a'\nat = '02:30'\nhistory = '30d'\n"
    tables += "[[prefetch]]\nname = 'b'\nevery = '6h'\nimages = ['redis:7']\n"
    (folder / "some.toml").write_text(tables)
    shown = run("show", "--config", "some.toml").stdout
    (folder / "shown.toml").write_text(shown)
    found = load_settings(folder / "shown.toml", {}).prefetch
    assert found == load_settings(folder / "some.toml", {}).prefetch
    assert ('every = "0s"' in shown, 'at = ""' in shown) == (False, False)


def test_show_says_what_the_settings_come_from(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variables are named, if there are some."""
    (folder / "some.toml").write_text("")
    shown = run("show", "--config", "some.toml", ENTREPOT_OFFLINE="true").stdout
    named = "ENTREPOT_OFFLINE, ENTREPOT_SERVER__CONSOLE, ENTREPOT_SERVER__LISTEN"
    assert shown.splitlines()[0] == f"# settings from: {folder}/some.toml, {named}"
    for key in ("LISTEN", "CONSOLE"):
        monkeypatch.delenv(f"ENTREPOT_SERVER__{key}")
    shown = run("show", "--config", "some.toml").stdout
    assert shown.splitlines()[0] == f"# settings from: {folder}/some.toml"
