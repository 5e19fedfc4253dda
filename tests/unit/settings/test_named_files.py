"""Laws of the files that settings name: certificates, keys and passwords."""

from pathlib import Path

import pytest

from registry.errors import SettingsError
from registry.settings.loading import load_settings
from registry.settings.tables import dump


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the settings file, and the current folder."""
    for name in ("etc", "here"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


PEM_FILES = [
    (f'[server]\ntls_cert = "{__file__}"\ntls_key = "{__file__}"\nclient_ca = "{{}}"', "client_ca"),
    ('[server]\ntls_cert = "{}"\ntls_key = "{}"', "tls_cert"),
    ('[bundles]\nkeys = ["{}"]', "keys"),
    ('[upstreams."ghcr.io"]\nca_file = "{}"', "ca_file"),
    ('[upstreams."ghcr.io"]\nusername = "u"\npassword_file = "{}"', "password_file"),
]


@pytest.mark.parametrize(("text", "key"), PEM_FILES)
@pytest.mark.parametrize(
    ("where", "expected"),
    [("etc", "{site}/etc/secret"), ("here", "secret"), ("both", "{site}/etc/secret")],
)
def test_files_are_beside_the_settings(
    site: Path, text: str, key: str, where: str, expected: str
) -> None:
    """Where version 0.1 looked, in the current folder, is looked for what is not there."""
    for name in ("etc", "here"):
        if where in (name, "both"):
            write(site / name / "secret", "secret")
    config = write(site / "etc" / "some.toml", text.replace("{}", "secret"))

    tables = dump(load_settings(config, {}))

    found = {**tables["server"], **tables["bundles"], **tables["upstreams"]["ghcr.io"]}[key]
    assert found in (expected.format(site=site), [expected.format(site=site)])


@pytest.mark.parametrize(("text", "key"), PEM_FILES)
def test_a_missing_file_is_named_with_its_folder(site: Path, text: str, key: str) -> None:
    """The error has the whole path, at the place where the file belongs."""
    config = write(site / "etc" / "some.toml", text.replace("{}", "secret"))

    with pytest.raises(SettingsError, match=f"{site}/etc/secret") as error:
        load_settings(config, {})

    assert error.value.key.endswith(key)
