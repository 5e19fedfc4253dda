"""Laws of changing the operator's settings file: it is checked before it is replaced."""

import errno
import os
from pathlib import Path

import pytest

from registry.errors import SettingsError
from registry.settings.loading import load_settings
from registry.settings.own_file import set_upstream
from registry.settings.text_edit import Change
from registry.settings.values import Refusal
from tests.harness.commands import SHIPPED

URLS = ["https://a.example", "https://b.example"]
BOTH = [Change("endpoints", URLS)]
HUB = "docker.io"


def test_a_missing_file_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside of a checkout it is the file of `config init`, with one value."""
    monkeypatch.setattr("registry.settings.places.PROJECT", tmp_path / "elsewhere")
    monkeypatch.setattr("registry.settings.places.SYSTEM_FILE", tmp_path / "etc/entrepot.toml")
    monkeypatch.setattr("registry.settings.new_file.PROJECT", SHIPPED.parents[1])
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.chdir(tmp_path)
    environ = {"XDG_CONFIG_HOME": str(tmp_path / "home")}
    changed = set_upstream(None, environ, HUB, BOTH)
    assert changed.file == tmp_path / "home/entrepot/entrepot.toml"
    assert changed.former is None
    assert load_settings(None, environ).upstreams[HUB].endpoints == tuple(URLS)
    assert [each.name for each in changed.file.parent.iterdir()] == ["entrepot.toml"]


def test_each_former_file_is_kept(tmp_path: Path) -> None:
    """Two changes leave two copies; the mode of the file stays."""
    config = tmp_path / "entrepot.toml"
    config.write_text("offline = false\n")
    config.chmod(0o640)
    first = set_upstream(config, {}, HUB, BOTH)
    second = set_upstream(config, {}, HUB, [Change("endpoints", URLS[:1])])
    assert first.former is not None
    assert second.former is not None
    assert first.former.read_text() == "offline = false\n"
    listed = 'endpoints = [\n  "https://a.example",\n  "https://b.example",\n]\n'
    assert listed in second.former.read_text()
    assert load_settings(config, {}).upstreams[HUB].endpoints == ("https://a.example",)
    assert config.stat().st_mode & 0o777 == 0o640
    names = {each.name for each in tmp_path.iterdir()}
    assert names == {"entrepot.toml", "entrepot.toml.former", "entrepot.toml.former-2"}


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """The file that it leads to is changed, and its copy is beside that file."""
    (tmp_path / "real").mkdir()
    real, link = tmp_path / "real" / "mine.toml", tmp_path / "entrepot.toml"
    real.write_text("")
    link.symlink_to(real)
    changed = set_upstream(link, {}, HUB, BOTH)
    assert link.is_symlink()
    assert changed.file == real
    assert load_settings(link, {}).upstreams[HUB].endpoints == tuple(URLS)


def test_a_mark_at_the_beginning_stays(tmp_path: Path) -> None:
    """Some editors write a byte order mark, which TOML does not have."""
    config = tmp_path / "entrepot.toml"
    config.write_bytes(b"\xef\xbb\xbfoffline = false\n")
    set_upstream(config, {}, HUB, BOTH)
    assert config.read_bytes().startswith(b"\xef\xbb\xbfoffline = false\n\n[upstreams")


def test_a_file_that_could_not_be_loaded_is_not_written(tmp_path: Path) -> None:
    """The settings would refuse the list, so the file stays."""
    config = tmp_path / "entrepot.toml"
    config.write_text("offline = false\n")
    with pytest.raises(SettingsError):
        set_upstream(config, {}, HUB, [Change("endpoints", ["https://docker.io"])])
    assert config.read_text() == "offline = false\n"
    assert [each.name for each in tmp_path.iterdir()] == ["entrepot.toml"]


def test_a_variable_is_named(tmp_path: Path) -> None:
    """What the environment sets, a file cannot change."""
    config = tmp_path / "entrepot.toml"
    config.write_text("")
    environ = {"ENTREPOT_UPSTREAMS__DOCKER_IO__ENDPOINTS": "https://x.example"}
    with pytest.raises(Refusal, match="the variable ENTREPOT_UPSTREAMS__DOCKER_IO__ENDPOINTS sets"):
        set_upstream(config, environ, HUB, BOTH)
    assert config.read_text() == ""


def test_the_tracked_file_is_never_changed() -> None:
    """It states the defaults, and git tracks it."""
    before = SHIPPED.read_bytes()
    with pytest.raises(Refusal, match="only states the defaults; name a file of your own"):
        set_upstream(SHIPPED, {}, HUB, BOTH)
    assert SHIPPED.read_bytes() == before


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither half a file nor a new folder; the former file stays."""

    def refuse(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", refuse)
    config = tmp_path / "entrepot.toml"
    config.write_text("")
    with pytest.raises(OSError, match="No space left"):
        set_upstream(config, {}, HUB, BOTH)
    assert [each.name for each in tmp_path.iterdir()] == ["entrepot.toml"]
    assert config.read_text() == ""


def test_several_settings_are_one_change(tmp_path: Path) -> None:
    """Either value alone would be refused: two have to agree, and there was one endpoint."""
    config = tmp_path / "entrepot.toml"
    config.write_text(f'# mine\n[upstreams."{HUB}"]\nendpoints = ["https://x.example"]\n')
    set_upstream(config, {}, HUB, [Change("names", "agree"), *BOTH])
    upstream = load_settings(config, {}).upstreams[HUB]
    assert (upstream.names, upstream.endpoints) == ("agree", tuple(URLS))
    assert {each.name for each in tmp_path.iterdir()} == {"entrepot.toml", "entrepot.toml.former"}


@pytest.mark.parametrize("path", ["../data", "data"])
def test_a_path_with_dots_means_the_same_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """The new file is loaded under another name, and no other setting changes by that."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "one.toml").write_text(f'[storage]\npath = "{path}"\n')
    changed = set_upstream(Path("../one.toml"), {}, HUB, BOTH)
    assert changed.file == tmp_path / "one.toml"
    assert ".." not in load_settings(Path("../one.toml"), {}).storage.path.parts
