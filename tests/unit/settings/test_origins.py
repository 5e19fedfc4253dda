"""Laws of errors about settings: they name the file and the line, or the variable."""

from pathlib import Path

import pytest

from registry.errors import SettingsError
from registry.server.tls import check_files
from registry.settings.loading import load_configuration, load_settings
from registry.settings.origins import find_line

DOCUMENT = """\
# limit = "1GiB"
offline = false

[storage]
path = "data"
  "limit" = "1GiB"  # not more
[storage.keep_for]
"*" = "30d"

[upstreams."docker.io"]
proxy = ""
[upstreams.'ghcr.io']  # another one
[bundles]
keys = [
    "a.pem",
]
"""


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("offline", 2),
        ("storage", 4),
        ("storage.path", 5),
        ("storage.limit", 6),
        ("storage.reserve", 4),
        ('upstreams."docker.io".proxy', 11),
        ('upstreams."ghcr.io".username', 12),
        ("upstreams", 10),
        ("bundles.keys", 14),
        ("server.listen", None),
    ],
)
def test_a_setting_is_found_in_its_file(key: str, line: int | None) -> None:
    """What is not written there has the line of its table, if that is written."""
    assert find_line(DOCUMENT, key) == line


@pytest.mark.parametrize(
    ("text", "environ", "message"),
    [
        ("[storage]\nlimit = 50", {}, "{}:2: storage.limit: 50 means 50 bytes"),
        ("[storage]\nlimit = true", {}, "{}:2: storage.limit: true is not a size"),
        ("\nstorage = 1", {}, "{}:2: storage: this is a table"),
        ('[bundles]\n\nkeys = ["/no.pem"]', {}, "{}:3: bundles.keys: there is no file '/no.pem'"),
        (
            '[upstreams."ghcr.io"]\nusername = "u"',
            {},
            '{}:1: upstreams."ghcr.io".password_file: username and password_file go together',
        ),
        (
            "[storage]\nlimit = 1",
            {"ENTREPOT_STORAGE__LIMIT": "50"},
            "storage.limit: ENTREPOT_STORAGE__LIMIT: 50 means 50 bytes",
        ),
        (
            "",
            {"ENTREPOT_STORAGE__LIMIT": "many"},
            "storage.limit: ENTREPOT_STORAGE__LIMIT: 'many' is not a size",
        ),
        (
            "",
            {"ENTREPOT_BUNDLES__KEYS": "/no.pem"},
            "bundles.keys: ENTREPOT_BUNDLES__KEYS: there is no file '/no.pem'",
        ),
    ],
)
def test_an_error_says_where_the_setting_was_written(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    environ: dict[str, str],
    message: str,
) -> None:
    """The path is whole also if a relative one was named; a variable counts more than the file."""
    monkeypatch.chdir(tmp_path)
    Path("some.toml").write_text(text)
    with pytest.raises(SettingsError) as error:
        load_settings(Path("some.toml"), environ)
    assert str(error.value).startswith(message.format(tmp_path / "some.toml"))


def test_an_error_of_a_later_check_says_it_too(tmp_path: Path) -> None:
    """Certificates are read when a server starts, is reloaded, or `config check` is called."""
    path = tmp_path / "some.toml"
    path.with_name("cert.pem").write_text("no certificate")
    path.write_text('[server]\ntls_cert = "cert.pem"\ntls_key = "cert.pem"\n')
    loaded = load_configuration(path, {})
    with pytest.raises(SettingsError) as error, loaded.origins.name_faults():
        check_files(loaded.settings)
    assert str(error.value).startswith(f"{path}:2: server.tls_cert: {tmp_path}/cert.pem and ")
