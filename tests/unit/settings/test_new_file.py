"""Laws of `entrepot config init`: a file that means the defaults, and never overwrites another."""

import errno
import json
import os
import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from registry.cli import config
from registry.cli.config import build_config_app
from registry.settings import places
from registry.settings.loading import load_settings
from registry.settings.model import Settings
from registry.settings.new_file import build_text

SHIPPED = Path(__file__).parents[3] / "config" / "entrepot.toml"


@pytest.fixture(autouse=True)
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder, a home, and a checkout with the shipped file."""
    for name in ("here", "home", "checkout/config", "checkout/registry"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "checkout" / "pyproject.toml").touch()
    (tmp_path / "checkout" / "config" / "entrepot.toml").write_bytes(SHIPPED.read_bytes())
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(places, "PROJECT", tmp_path / "checkout")
    monkeypatch.setattr(places, "SYSTEM_FILE", tmp_path / "etc" / "entrepot.toml")
    return tmp_path


def run(site: Path, *words: str, **environ: str) -> Result:
    variables = {"HOME": str(site / "home"), "ENTREPOT_CONFIG": None} | environ
    return CliRunner().invoke(build_config_app(), words, env=variables)


def forget_place(settings: Settings) -> Settings:
    """Return the settings with the default data folder, whose place depends on their file."""
    storage = replace(settings.storage, path=Settings().storage.path)
    return replace(settings, storage=storage)


def list_values(text: str) -> list[str]:
    return re.findall(r"^(?:# )?([a-z_]+) = ", text, re.MULTILINE)


def test_it_means_the_defaults(site: Path) -> None:
    """Every value is commented out, so that a later version's defaults apply."""
    (site / "some.toml").write_text(build_text())

    tables = tomllib.loads(build_text())

    assert Settings() == forget_place(load_settings(site / "some.toml", {}))
    assert [key for key, table in tables.items() if table and key != "upstreams"] == []
    assert tables["upstreams"] == {"docker.io": {}}


def test_it_has_every_setting_of_the_shipped_file(site: Path) -> None:
    """Without the comment signs before values it is that file again, after its head."""
    shipped, new = SHIPPED.read_text(), build_text()

    assert list_values(new) == list_values(shipped)
    restored = re.sub(r"^# (?=[a-z_]+ = )", "", new, flags=re.MULTILINE)
    assert restored.partition("\n#\n")[2] == shipped.partition("\n#\n")[2]
    assert tomllib.loads(restored) == tomllib.loads(shipped)


@pytest.mark.parametrize("folder", ["here", "checkout", "home"])
def test_it_is_read_from_every_folder(
    site: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    """In a checkout it is entrepot.toml there, and the data is beside it."""
    done = run(site, "init")
    own = site / "checkout" / "entrepot.toml"
    assert (done.exit_code, own.read_text()) == (0, build_text()), done.output
    assert f"wrote {own}:" in done.stdout
    assert f"data folder: {site}/checkout/data\n" in done.stdout

    monkeypatch.chdir(site / folder)
    assert run(site, "check").stdout.splitlines()[0] == f"ok: {own}, 8 upstreams"


@pytest.mark.parametrize("kind", ["a file", "a dangling link", "a folder"])
@pytest.mark.parametrize("words", [["init"], ["init", "--config", "{own}"], ["init", "--json"]])
def test_nothing_is_overwritten(site: Path, kind: str, words: list[str]) -> None:
    """What is there already stays, and is named."""
    own = site / "checkout" / "entrepot.toml"
    match kind:
        case "a file":
            own.write_text("offline = true\n")
        case "a dangling link":
            own.symlink_to(site / "nowhere.toml")
        case "a folder":
            own.mkdir()

    done = run(site, *(each.format(own=own) for each in words))

    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith(f"entrepot: {own} exists already")
    assert not (site / "nowhere.toml").exists()
    if kind == "a file":
        assert own.read_text() == "offline = true\n"


@pytest.mark.parametrize(
    ("words", "environ", "file"),
    [
        (["--config", "mine.toml"], {}, "here/mine.toml"),
        (["--config", "a/b/mine.toml"], {}, "here/a/b/mine.toml"),
        ([], {"ENTREPOT_CONFIG": "variable.toml"}, "here/variable.toml"),
        (["--config", "mine.toml"], {"ENTREPOT_CONFIG": "variable.toml"}, "here/mine.toml"),
    ],
)
def test_another_file_can_be_named(
    site: Path, words: list[str], environ: dict[str, str], file: str
) -> None:
    """The same option and variable name it as name the file to read; its folders are made."""
    answer = json.loads(run(site, "init", "--json", *words, **environ).stdout)

    assert answer["file"] == str(site / file)
    assert answer["data"] == str((site / file).parent / "data")
    assert (site / file).read_text() == build_text()


@pytest.mark.parametrize("file", ["file/x/mine.toml", "/proc/entrepot/mine.toml", "/sys/mine.toml"])
def test_what_cannot_be_written_leaves_no_folder(site: Path, file: str) -> None:
    """One line says why, and nothing that was made for it is left."""
    (site / "here" / "file").write_text("no folder")
    before = sorted(site.rglob("*"))

    done = run(site, "init", "--config", file)

    assert (done.exit_code, len(done.stderr.splitlines())) == (1, 1)
    assert sorted(site.rglob("*")) == before


def test_in_a_container_the_file_of_the_host_is_named(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file system of a container is read-only, and its settings are in a folder of the host."""

    def refuse(file: Path) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(file))

    monkeypatch.setattr(config, "write_new_settings", refuse)
    result = run(site, "init")

    assert result.exit_code == 1
    assert (
        "Read-only file system; in a container, write config/local/entrepot.toml" in result.stderr
    )


def test_a_wrong_variable_is_found_before_anything_is_written(site: Path) -> None:
    """The error is about the variable, and there is no file."""
    done = run(site, "init", ENTREPOT_STORAGE__LIMT="1GB")

    assert done.exit_code == 2
    assert "ENTREPOT_STORAGE__LIMT" in done.stderr
    assert not (site / "checkout" / "entrepot.toml").exists()


def test_a_file_that_is_read_first_is_named(site: Path) -> None:
    """Who stands in a folder with settings of its own learns that the new file is not read here."""
    (site / "here" / "entrepot.toml").touch()

    done = run(site, "init")

    assert f"in the current folder, {site}/here/entrepot.toml is read instead\n" in done.stdout


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_settings_that_are_not_read_any_more_are_named(site: Path, words: list[str]) -> None:
    """Who has edited the tracked file learns what to copy."""
    with (site / "checkout" / "config" / "entrepot.toml").open("a") as shipped:
        shipped.write('[upstreams."registry.lan"]\n')

    said = run(site, "init", *words).stdout

    changes = ['upstreams."registry.lan": removed']
    if words:
        assert json.loads(said)["changes"] == changes
    else:
        file = f"{site}/checkout/config/entrepot.toml"
        assert said.splitlines()[2:] == [
            f"{file} is not read any more, which changes:",
            f"  {changes[0]}",
        ]
