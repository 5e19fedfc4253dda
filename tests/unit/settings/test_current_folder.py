"""Laws of a current folder that was deleted, or that this user must not look into."""

import encodings.utf_8_sig  # noqa: F401 - before another user reads, who may not find it
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry.errors import SettingsError
from registry.settings import places
from registry.settings.loading import load_configuration
from registry.settings.places import find_config

SOMEBODY = 65534


def write(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_current_folder_that_was_deleted_is_no_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shell may stand in a folder that somebody has deleted."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(places, "PROJECT", tmp_path)
    monkeypatch.setattr(places, "SYSTEM_FILE", tmp_path / "etc" / "entrepot.toml")
    monkeypatch.setattr(places, "SYSTEM_DATA", tmp_path / "state")
    (tmp_path / "here").rmdir()

    loaded = load_configuration(None, {"HOME": "/h", "XDG_DATA_HOME": str(tmp_path / "share")})

    user = tmp_path / ("state" if os.geteuid() == 0 else "share/entrepot")
    assert loaded.settings.storage.path == user / "data"


@pytest.fixture
def stranger(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Become another user, in a current folder that only root may look into; yield that folder."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        place.chmod(0o755)
        (place / "closed").mkdir(mode=0o700)
        write(place / "closed" / "entrepot.toml")
        monkeypatch.chdir(place / "closed")
        load_configuration(None, {})  # imports what the other user may not be able to read
        monkeypatch.setattr(places, "PROJECT", place)
        monkeypatch.setattr(places, "SYSTEM_FILE", place / "system" / "entrepot.toml")
        os.seteuid(SOMEBODY)
        try:
            yield place
        finally:
            os.seteuid(0)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user")
def test_a_current_folder_of_another_user_is_no_matter(stranger: Path) -> None:
    """As root in /root, `sudo -u entrepot entrepot ...` reads the file of the system."""
    os.seteuid(0)
    b"".decode("utf-8-sig")  # loads the codec while this user may read Python's own folder
    text = '[upstreams."ghcr.io"]\nusername = "u"\npassword_file = "secret"\n'
    write(stranger / "system" / "entrepot.toml", text)
    write(stranger / "system" / "secret", "password")
    os.seteuid(SOMEBODY)

    loaded = load_configuration(None, {"HOME": str(stranger / "closed")})

    assert loaded.file == stranger / "system" / "entrepot.toml"
    assert loaded.settings.upstreams["ghcr.io"].password_file == str(stranger / "system" / "secret")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user")
def test_settings_of_the_system_that_are_closed_are_an_error(
    stranger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other settings, and so another data folder, are not used silently."""
    monkeypatch.setattr(places, "SYSTEM_FILE", stranger / "closed" / "entrepot.toml")

    with pytest.raises(SettingsError, match=r"closed/entrepot.toml: cannot be read"):
        find_config(None, {"HOME": "/"})
