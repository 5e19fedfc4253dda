"""Laws of files that other users of the machine can read."""

from pathlib import Path

import pytest

from registry.settings import exposure
from registry.settings.exposure import list_exposed
from registry.settings.model import Settings
from registry.settings.tables import read_table


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that everybody may go to."""
    monkeypatch.setattr(exposure, "_list_folders", lambda path: [path.parent])  # tests are private
    tmp_path.chmod(0o755)
    (tmp_path / "data").mkdir(mode=0o700)
    for name in ("key", "password", "file"):
        (tmp_path / name).touch(mode=0o600)
    return tmp_path


def load(site: Path) -> Settings:
    return read_table(
        Settings,
        {
            "server": {"tls_cert": "c", "tls_key": str(site / "key")},
            "storage": {"path": site / "data"},
            "upstreams": {
                "docker.io": {
                    "default": True,
                    "endpoints": ["https://hub.test"],
                    "username": "me",
                    "password_file": str(site / "password"),
                    "proxy": "http://me:secret@proxy.test:3128",
                }
            },
        },
    )


@pytest.mark.parametrize(
    ("name", "mode", "key"),
    [
        ("data", 0o755, "storage.path"),
        ("data", 0o711, "storage.path"),
        ("key", 0o644, "server.tls_key"),
        ("password", 0o604, 'upstreams."docker.io".password_file'),
        ("password", 0o602, 'upstreams."docker.io".password_file'),
        ("file", 0o644, 'upstreams."docker.io".proxy'),
    ],
)
def test_what_others_can_read_is_named(site: Path, name: str, mode: int, key: str) -> None:
    """Each line says which setting it is about, and the command that forbids it."""
    assert list(list_exposed(load(site), site / "file")) == []

    (site / name).chmod(mode)
    (line,) = list_exposed(load(site), site / "file")

    assert line.startswith(f"{key}: other users can read ")
    assert line.endswith(f" {site / name}")
    assert "chmod" in line


def test_what_others_cannot_reach_is_not_named(site: Path) -> None:
    """A folder above that others may not go to protects everything in it."""
    (site / "data").chmod(0o755)
    (site / "password").chmod(0o644)
    site.chmod(0o700)

    assert list(list_exposed(load(site), site / "file")) == []


def test_what_is_missing_is_not_named(site: Path) -> None:
    """The data folder may not exist yet."""
    (site / "data").rmdir()
    assert list(list_exposed(load(site), site / "file")) == []
