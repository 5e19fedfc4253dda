"""Laws of bad configuration: one line that names the key, the reason, and what to write."""

import re
from pathlib import Path

import pytest

from registry.errors import SettingsError
from registry.settings.loading import load_settings

FOREIGN = re.compile("Input|should be|Value error|validation")  # of pydantic
HUB = '[upstreams."docker.io"]\n'


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refuse(text: str, environ: dict[str, str] | None = None) -> SettingsError:
    Path("some.toml").write_text(text)
    with pytest.raises(SettingsError) as error:
        load_settings(Path("some.toml"), environ or {})
    assert "\n" not in str(error.value)
    assert error.value.cure
    return error.value


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ("storage.limt = 1", "storage.limt", "did you mean storage.limit?"),
        ("listen = 'h:1'", "listen", "did you mean server.listen?"),
        ("[sever]", "sever", "did you mean server?"),
        ("[upstream.'docker.io']", "upstream", "did you mean upstreams?"),
        ("'a\\nb' = 1", r'"a\\nb"', "no such setting"),
        ("foo = 1", "foo", "config/entrepot.toml has all settings"),
        ("server.port = 1", "server.port", "config/entrepot.toml has all settings"),
        (HUB + "conections = 1", 'upstreams."docker.io".conections', '"docker.io".connections'),
        (HUB + "passwd = 'x'", 'upstreams."docker.io".passwd', "password_file"),
    ],
)
def test_unknown_key_names_the_nearest(text: str, key: str, words: str) -> None:
    """A misspelled or misplaced key is named, with the nearest key that exists."""
    error = refuse(text)

    assert key == error.key
    assert words in str(error)


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ("offline = 'perhaps'", "offline", "'perhaps' is neither true nor false; write for ex"),
        ("offline = 5", "offline", "5 is neither true nor false"),
        ("server.workers = 1.5", "server.workers", "1.5 is not a whole number"),
        ("server.workers = [1]", "server.workers", "this is not a whole number"),
        ("server.tls_cert = 5", "server.tls_cert", "5 is not text in quotes"),
        ("storage.keep_for = 5", "storage.keep_for", "is not a table"),
        ("bundles.keys = 'k'", "bundles.keys", "'k' is not a list"),
        ("tags.immutable = [5]", "tags.immutable", "5 is not a regular expression"),
        ("server = 5", "server", "write [server]"),
        ("[server]\noffline = true", "server.offline", "write it before the first table, such as"),
        (HUB + "offline = true", 'upstreams."docker.io".offline', "before the first table"),
        ("upstreams = 5", "upstreams", "write [upstreams]"),
        ("upstreams.x = 5", "upstreams.x", "this is a table"),
        ("[upstreams.registry.k8s.io]", "upstreams.registry.k8s.io", '"registry.k8s.io"]'),
        ("server.workers = 'many'", "server.workers", "'many' is not a whole number"),
        ("server.workers = -1", "server.workers", "-1 is less than 0; write for example workers"),
        ("server.listen = '::1:5000'", "server.listen", "[::1]:5000"),
        ("server.console = '127.0.0.1:5000'", "server.console", "also server.listen"),
        (
            "server.console = '0.0.0.0:5000'",
            "server.console",
            "on the port of server.listen, 127.0.0.1",
        ),
        (
            "server.listen = '0.0.0.0:5001'",
            "server.console",
            "on the port of server.listen, 0.0.0.0:5001",
        ),
        (
            "server.listen = '[::]:5001'",
            "server.console",
            "on the port of server.listen, [::]:5001",
        ),
        ("server.tls_key = 'k'", "server.tls_key", "both"),
        ("server.client_ca = 'c'", "server.client_ca", "write tls_cert and tls_key too"),
        ("storage.limit = '50 apples'", "storage.limit", "50GiB"),
        ("storage.limit = 0", "storage.limit", "0 is not more than 0; write for example limit"),
        ("storage.path = ''", "storage.path", 'write path = "data"'),
        ("storage.keep_for = '30d'", "storage.keep_for", 'write { "*" = "30d" }'),
        ("storage.path = 5", "storage.path", 'write path = "data"'),
        ("tags.fresh_for = '1 fortnight'", "tags.fresh_for", "60s"),
        ("tags.immutable = ['ok', 'v[']", "tags.immutable", "'v['"),
        ("tags.immutable = 'v1'", "tags.immutable", "list"),
        (
            "[upstreams.'docker.io']\norder = 'fastest'",
            'upstreams."docker.io".order',
            "'fastest' is not 'measured' or 'written'",
        ),
        ("access.mode = 'closed'", "access.mode", "'closed' is not 'open' or 'users'"),
        ("[upstreams.'Docker.IO']", 'upstreams."Docker.IO"', "lower case"),
        ("[upstreams.'index.docker.io']", "upstreams", 'configure [upstreams."docker.io"]'),
        (HUB + "endpoints = []", 'upstreams."docker.io".endpoints', "no endpoint"),
        (HUB + "endpoints = ['h']", 'upstreams."docker.io".endpoints', "not a URL"),
        (HUB + "proxy = 'socks4://h'", 'upstreams."docker.io".proxy', "socks5://"),
        (HUB + "connections = 17", 'upstreams."docker.io".connections', "17 is more than 16"),
        (HUB + "aliases = ['A']", 'upstreams."docker.io".aliases', "lower case"),
        (HUB + "aliases = ['ghcr.io']", "upstreams", "ghcr.io"),
        (HUB + "auth_realms = ['https://h']", 'upstreams."docker.io".auth_realms', "host"),
        (HUB + "username = 'u'", 'upstreams."docker.io".password_file', "both"),
        (HUB + "password_file = 'f'", 'upstreams."docker.io".password_file', "both"),
        (HUB + "ca_file = 'f'", 'upstreams."docker.io".ca_file', "no file"),
        (HUB + "default = false", "upstreams", "none of them has default = true"),
    ],
)
def test_bad_value_names_its_key_and_cure(text: str, key: str, words: str) -> None:
    """The message about an unusable value has its key, and a value that can be used."""
    error = refuse(text)

    assert key == error.key
    assert words in str(error)
    assert FOREIGN.findall(str(error)) == []


def test_two_defaults_are_refused() -> None:
    """Exactly one upstream may be the default."""
    error = refuse(HUB + 'default = true\n[upstreams."ghcr.io"]\ndefault = true')

    assert error.key == "upstreams"
    assert "docker.io and in ghcr.io" in error.why


@pytest.mark.parametrize(
    "text",
    [
        HUB + 'password = "hunter2"',
        HUB + 'endpoints = ["https://u:hunter2@h"]',
        HUB + 'proxy = "http:/u:hunter2@h"',
        HUB + 'proxy = ["http://u:hunter2@h"]',
    ],
)
def test_error_repeats_no_password(text: str) -> None:
    """A password in the wrong place is refused without being printed."""
    assert "hunter2" not in str(refuse(text))


def test_the_error_about_a_password_names_password_file() -> None:
    """A password in the file is refused with a message that names password_file."""
    error = refuse(HUB + 'password = "hunter2"')

    assert error.key == 'upstreams."docker.io".password'
    assert "password_file" in error.cure


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("offline = true\nx =\ny = 1", "line 2"),
        ("offline = true\nx = '''", "line 2"),
        ("offline = true\noffline = true", "line 2"),
        ("a = " + "[" * 100_000, "not TOML"),
        ("a = " + "1" * 5000, "not TOML"),
    ],
)
def test_syntax_error_names_file_and_line(text: str, words: str) -> None:
    """The message about a file that is not TOML has its name and the line."""
    error = refuse(text)

    assert error.key == str(Path("some.toml").absolute())
    assert words in error.why


@pytest.mark.parametrize(
    ("text", "cure"),
    [
        ("[storage]\nlimit = 20GiB", "put the value in quotes"),
        ("storage.path = /srv/images", "put the value in quotes"),
        ("server.listen = 0.0.0.0:5000", "put the value in quotes"),
        (f"{HUB}\n{HUB}", "the table is there already"),
        ("offline = true\noffline = true", "the setting is there already"),
        ("[storage\n", "correct this line"),
    ],
)
def test_syntax_error_says_what_to_do(text: str, cure: str) -> None:
    """What people forget is named: quotes, and that a table is in the file already."""
    assert cure in refuse(text).cure


@pytest.mark.parametrize("key", ["--config", "ENTREPOT_CONFIG"])
def test_named_file_must_exist(key: str) -> None:
    """If a named file is missing, the defaults are not used silently."""
    config, environ = (Path("x"), {}) if key == "--config" else (None, {key: "x"})

    with pytest.raises(SettingsError, match=r"there is no file '/.*/x'") as error:
        load_settings(config, environ)

    assert key == error.value.key


@pytest.mark.parametrize(
    ("variable", "words"),
    [
        ("ENTREPOT_STORAGE__LIMT", "ENTREPOT_STORAGE__LIMIT"),
        ("ENTREPOT_STORAGE", "ENTREPOT_STORAGE__"),
        ("ENTREPOT_STORAGE__LIMIT__X", "ENTREPOT_STORAGE__LIMIT"),
        ("ENTREPOT_STORAGE_LIMIT", "ENTREPOT_STORAGE__LIMIT"),
        ("ENTREPOT_LISTEN", "ENTREPOT_SERVER__LISTEN"),
        ("ENTREPOT_LIMIT", "ENTREPOT_STORAGE__LIMIT"),
        ("ENTREPOT_FOO", "config/entrepot.toml has all settings"),
        ("ENTREPOT_UPSTREAMS__HARBOR__PROXY", "config/entrepot.toml has all settings"),
        ("ENTREPOT_", "did you mean ENTREPOT_"),
        ("ENTREPOT_UPSTREAMS", "ENTREPOT_UPSTREAMS__"),
        ("ENTREPOT_UPSTREAMS__PROXY", "__PROXY"),
        ("ENTREPOT_UPSTREAMS__GHRC_IO__PROXY", "GHCR_IO"),
        ("ENTREPOT_UPSTREAMS__GHCR_IO__PASSWORD", "PASSWORD_FILE"),
        ("ENTREPOT_UPSTREAMS__GHCR_IO__PROXIES", "GHCR_IO__PROXY"),
    ],
)
def test_unknown_variable_names_the_nearest(variable: str, words: str) -> None:
    """A misspelled environment variable is an error, and not ignored."""
    error = refuse("", {variable: "hunter2"})

    assert variable == error.key
    assert words in error.cure
    assert "hunter2" not in str(error)


def test_bad_variable_is_named() -> None:
    """The message about a bad value of an environment variable names the variable."""
    error = refuse("storage.limit = 5", {"ENTREPOT_STORAGE__LIMIT": "x"})

    assert error.key == "storage.limit"
    assert "ENTREPOT_STORAGE__LIMIT" in error.why


@pytest.mark.parametrize(
    ("text", "variable"), [("storage.limit = 50", ""), ("storage.limit = ' 50'", ""), ("", "50")]
)
def test_a_limit_without_a_unit_deletes_nothing(text: str, variable: str) -> None:
    """50 may be meant as GiB: a limit that no image fits into is refused."""
    error = refuse(text, {"ENTREPOT_STORAGE__LIMIT": variable} if variable else {})

    assert error.key == "storage.limit"
    assert error.cure == 'write a unit, for example "50GiB"'


def test_the_example_for_a_variable_is_a_variable() -> None:
    """The advice is written as it has to be written there, and not as in the file."""
    error = refuse("", {"ENTREPOT_SERVER__WORKERS": "many"})

    assert error.why == "ENTREPOT_SERVER__WORKERS: 'many' is not a whole number"
    assert error.cure == "write for example ENTREPOT_SERVER__WORKERS=0"


def test_contradicting_variables_are_refused() -> None:
    """Two variables for one setting are an error, whatever their values."""
    names = ("ENTREPOT_UPSTREAMS__GHCR.IO__PROXY", "ENTREPOT_UPSTREAMS__GHCR_IO__PROXY")

    error = refuse("", dict.fromkeys(names, ""))

    assert all(name in error.why for name in names)


def test_ambiguous_upstream_in_a_variable_is_refused() -> None:
    """A variable whose underscores fit two upstreams is an error."""
    error = refuse("[upstreams.'a.b']\n[upstreams.a-b]", {"ENTREPOT_UPSTREAMS__A_B__PROXY": ""})

    assert "a-b or a.b" in error.why
