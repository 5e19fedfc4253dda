"""Laws of loading: which file, what overrides what, and where secrets come from."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from registry.errors import SettingsError
from registry.settings import places
from registry.settings.loading import load_settings
from registry.settings.model import Settings
from registry.settings.places import find_config
from registry.settings.tables import dump

Load = Callable[..., Settings]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(places, "PROJECT", tmp_path / "no checkout")
    monkeypatch.setattr(places, "SYSTEM_FILE", tmp_path / "no file")
    return tmp_path


@pytest.fixture
def load(folder: Path) -> Load:
    def load_text(text: str = "", **environ: str) -> Settings:
        (folder / "some.toml").write_text(text)
        return load_settings(Path("some.toml"), environ)

    return load_text


def forget_place(settings: Settings) -> dict[str, Any]:
    """Return the settings without the place of the data folder (test_places.py)."""
    tables = dump(settings)
    tables["storage"]["path"] = "data"
    return tables


def write(path: str, text: str = "") -> Path:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def test_no_file_means_the_defaults() -> None:
    """Without a file and variables the defaults apply."""
    assert dump(Settings()) == forget_place(load_settings(None, {}))


def test_which_file() -> None:
    """The option comes before the variable, the variable before the usual file."""
    usual, named, given = write("config/entrepot.toml"), write("named.toml"), write("given.toml")
    environ = {"ENTREPOT_CONFIG": "named.toml"}

    assert find_config(given, environ) == given.absolute()
    assert find_config(None, environ) == named.absolute()
    assert usual == find_config(None, {})
    assert usual == find_config(None, {"ENTREPOT_CONFIG": ""})


def test_environment_overrides_the_file(load: Load) -> None:
    """A variable wins over the file, and both over the default."""
    settings = load(
        '[storage]\nlimit = "1GiB"\nreserve = "2GiB"',
        ENTREPOT_STORAGE__LIMIT="200GiB",
        ENTREPOT_OFFLINE="true",
        ENTREPOT_SERVER__WORKERS="3",
    )

    assert settings.storage.limit == 200 * 1024**3
    assert settings.storage.reserve == 2 * 1024**3
    assert (settings.offline, settings.server.workers) == (True, 3)


def test_case_of_variables_is_free(load: Load) -> None:
    """After the prefix, a variable may be written in upper or lower case."""
    assert load(ENTREPOT_tags__Fresh_For="forever").tags.fresh_for == math.inf


@pytest.mark.parametrize("text", ['["a", "b,c"]', r"a, b,c"])
def test_lists_in_variables(load: Load, text: str) -> None:
    """A list in a variable is JSON, or separated by commas."""
    patterns = [pattern.pattern for pattern in load(ENTREPOT_TAGS__IMMUTABLE=text).tags.immutable]

    assert ",".join(patterns) == "a,b,c"


@pytest.mark.parametrize("name", ["GHCR.IO", "ghcr.io", "GHCR_IO", "ghcr_io"])
def test_variable_names_a_builtin_upstream(load: Load, name: str) -> None:
    """In a variable, an underscore stands for a dot of an upstream's name."""
    settings = load(**{f"ENTREPOT_UPSTREAMS__{name}__PROXY": "http://h:1"})

    assert settings.upstreams["ghcr.io"].proxy == "http://h:1"
    assert len(settings.upstreams) == 8


@pytest.mark.parametrize("name", ["MY_REG__ISTRY_LAN_5000", "my-reg__istry.lan:5000"])
def test_variable_names_an_upstream_of_the_file(load: Load, name: str) -> None:
    """A variable also finds an upstream that only the file names."""
    upstream = "my-reg__istry.lan:5000"

    settings = load(f'[upstreams."{upstream}"]', **{f"ENTREPOT_UPSTREAMS__{name}__PROXY": ""})

    assert settings.upstreams[upstream].endpoints == (f"https://{upstream}",)


def test_variable_introduces_an_upstream(load: Load) -> None:
    """A variable with a name with dots adds an upstream."""
    settings = load(**{"ENTREPOT_UPSTREAMS__REGISTRY.LAN__ENDPOINTS": "http://a,http://b"})

    assert settings.upstreams["registry.lan"].endpoints == ("http://a", "http://b")


def test_service_variables_of_kubernetes_are_not_ours(load: Load) -> None:
    """Variables that Kubernetes sets for a Service called entrepot are ignored."""
    environ = {
        "ENTREPOT_SERVICE_HOST": "10.0.0.1",
        "ENTREPOT_SERVICE_PORT": "5000",
        "ENTREPOT_SERVICE_PORT_HTTP": "5000",
        "ENTREPOT_PORT": "tcp://10.0.0.1:5000",
        "ENTREPOT_PORT_5000_TCP_ADDR": "10.0.0.1",
        "PATH": "/bin",
    }

    assert dump(Settings()) == forget_place(load(**environ))


def test_table_of_a_builtin_upstream_is_merged(load: Load) -> None:
    """A table of a built-in upstream changes only the settings in it."""
    docker_hub = load('[upstreams."docker.io"]\nconnections = 8').upstreams["docker.io"]

    assert docker_hub.connections == 8
    assert docker_hub.endpoints == ("https://registry-1.docker.io",)
    assert docker_hub.default is True


@pytest.mark.parametrize("value", ["true", "'yes'", "1"])
def test_configured_default_wins(load: Load, value: str) -> None:
    """If another upstream is the default, Docker Hub is not, without being named."""
    settings = load(f'[upstreams."h.example"]\ndefault = {value}')

    assert settings.default_upstream == "h.example"
    assert settings.upstreams["docker.io"].default is False


def test_password_comes_from_its_file(load: Load) -> None:
    """A password is the content of its file, without the line break at the end."""
    write("secret", " hunter2\n")

    settings = load('[upstreams."ghcr.io"]\nusername = "u"\npassword_file = "secret"')

    assert settings.upstreams["ghcr.io"].password.value == "hunter2"


def test_shown_settings_load_again(load: Load) -> None:
    """The asterisks that are printed instead of a password can be loaded, and change nothing."""
    write("secret", "hunter2")
    text = '[upstreams."ghcr.io"]\nusername = "u"\npassword_file = "secret"\n'

    assert load(text) == load(text + 'password = "********"')


def test_byte_order_mark_is_no_matter(load: Load) -> None:
    """A file with a byte order mark can be loaded."""
    assert load("\ufeffoffline = true").offline is True


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file"),
        (b"", "empty"),
        (b" \n", "empty"),
        (b"\xff", "not text"),
        (b"x" * 70_000, "empty or not a secret"),
    ],
)
def test_useless_password_file_is_refused(load: Load, content: bytes | None, words: str) -> None:
    """An empty password file is an error, and not an empty password."""
    if content is not None:
        Path("secret").write_bytes(content)

    with pytest.raises(SettingsError, match=words) as error:
        load('[upstreams."ghcr.io"]\nusername = "u"\npassword_file = "secret"')

    assert error.value.key == 'upstreams."ghcr.io".password_file'


def test_unreadable_files_are_refused(folder: Path) -> None:
    """A named file that cannot be read is an error; the defaults are not used."""
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(folder, {})
    (folder / "latin.toml").write_bytes(b"# \xff")
    with pytest.raises(SettingsError, match="not UTF-8"):
        load_settings(folder / "latin.toml", {})


@pytest.mark.parametrize("key", ["tls_cert", "tls_key", "client_ca"])
def test_tls_files_must_exist(load: Load, key: str) -> None:
    """A missing certificate is found before the server starts."""
    files = {"tls_cert": write("cert"), "tls_key": write("key"), "client_ca": write("ca")}
    files[key].unlink()

    with pytest.raises(SettingsError, match="there is no file") as error:
        load('[server]\ntls_cert = "cert"\ntls_key = "key"\nclient_ca = "ca"')

    assert error.value.key == f"server.{key}"
