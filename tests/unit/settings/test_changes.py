"""Laws of a reload: what changed is said, and what needs a restart stays as it is."""

from collections.abc import Callable
from pathlib import Path

import pytest

from registry.settings.changes import keep_fixed, list_changes
from registry.settings.loading import load_settings
from registry.settings.model import Settings

GHCR = '[upstreams."ghcr.io"]\n'
LAN = '[upstreams."registry.lan:5000"]\n'
LOGIN = GHCR + 'username = "u"\npassword_file = "secret"\n'
Load = Callable[..., Settings]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def load_text(text: str, password: str = "old") -> Settings:
        (tmp_path / "secret").write_text(password)
        (tmp_path / "some.toml").write_text(text)
        return load_settings(tmp_path / "some.toml", {})

    return load_text


@pytest.mark.parametrize(
    ("former", "new", "changes"),
    [
        ("", "", []),
        ("[tags]", "# another comment", []),
        ('tags.fresh_for = "60s"', "tags.fresh_for = 60", []),
        ("", 'tags.fresh_for = "5m"', ['tags.fresh_for = "5m" (was "60s")']),
        ("offline = true", "", ["offline = false (was true)"]),
        ("", 'storage.limit = "1GB"', ['storage.limit = "1GB" (was "50GiB")']),
        (
            'storage.keep_for = { "*" = "30d" }',
            "",
            ['storage.keep_for = {} (was {"*": "30d"})'],
        ),
        ("", 'tags.immutable = ["v.*"]', ['tags.immutable = ["v.*"] (was [])']),
        ("", LAN, ['upstreams."registry.lan:5000": added']),
        (LAN + "connections = 2", "", ['upstreams."registry.lan:5000": removed']),
        ("", GHCR + "connections = 2", ['upstreams."ghcr.io".connections = 2 (was 10)']),
        (
            GHCR + 'proxy = "http://u:old@h:1"',
            GHCR + 'proxy = "http://u:new@h:1"',
            ['upstreams."ghcr.io".proxy: changed'],
        ),
        ("", "server.workers = 3", ["server.workers = 3 (was 0)"]),
        (
            "",
            'offline = true\ntags.missing_for = "1s"',
            ["offline = true (was false)", 'tags.missing_for = "1s" (was "10s")'],
        ),
    ],
)
def test_changes_are_listed(load: Load, former: str, new: str, changes: list[str]) -> None:
    """One line for each setting that differs, as it is written in TOML, with its former value."""
    assert list_changes(load(former), load(new)) == changes


def test_a_password_is_not_told(load: Load) -> None:
    """That it changed is said, and neither the old nor the new one."""
    changes = list_changes(load(LOGIN, "old-secret"), load(LOGIN, "new-secret"))

    assert changes == ['upstreams."ghcr.io".password: changed']


@pytest.mark.parametrize(("former", "new"), [(GHCR, LOGIN), (LOGIN, GHCR)])
def test_a_password_that_came_or_went_is_not_told(load: Load, former: str, new: str) -> None:
    """A reader of the log would take the asterisks for a value."""
    changes = list_changes(load(former), load(new))

    assert 'upstreams."ghcr.io".password: changed' in changes
    assert "***" not in str(changes)


@pytest.mark.parametrize(
    ("text", "changed", "pending"),
    [
        ('server.listen = "127.0.0.1:6000"', [], ["server.listen"]),
        ('server.console = "127.0.0.1:6001"', [], ["server.console"]),
        ("server.workers = 2", [], ["server.workers"]),
        ('storage.path = "/elsewhere"', [], ["storage.path"]),
        ('storage.path = "/elsewhere"\nstorage.limit = "1GB"', ["storage.limit"], ["storage.path"]),
        ("server.workers = 2\noffline = true", ["offline"], ["server.workers"]),
    ],
)
def test_what_needs_a_restart_stays(
    load: Load, text: str, changed: list[str], pending: list[str]
) -> None:
    """Addresses, workers and the data folder are those of the start; everything else is new."""
    former, loaded = load(""), load(text)

    settings = keep_fixed(former, loaded)

    assert [each.partition(" ")[0] for each in list_changes(former, settings)] == changed
    assert [each.partition(" ")[0] for each in list_changes(settings, loaded)] == pending
