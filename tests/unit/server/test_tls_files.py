"""Laws of the files for TLS: the error names the one file that cannot be read."""

from pathlib import Path

import pytest

from registry.errors import SettingsError
from registry.server.tls import TLSFiles, load_tls
from registry.upstream.client import load_trust
from tests.fakes.certificates import make_authority


@pytest.mark.parametrize("key", ["tls_cert", "tls_key", "client_ca"])
def test_only_the_unreadable_file_is_named(tmp_path: Path, key: str) -> None:
    """Root can read every file, so a folder plays the file that this user cannot read."""
    authority = make_authority(tmp_path)
    files = {"tls_cert": str(authority.certificate), "tls_key": str(authority.key)}
    files |= {"client_ca": str(authority.root), key: str(tmp_path)}

    with pytest.raises(SettingsError) as error:
        load_tls(TLSFiles(files["tls_cert"], files["tls_key"], files["client_ca"]))

    why = f"server.{key}: {tmp_path} cannot be read (Is a directory)"
    assert str(error.value) == f"{why}; let the user that runs entrepot read it"


def test_the_unreadable_authority_is_named(tmp_path: Path) -> None:
    """The same holds for the authorities of an upstream."""
    with pytest.raises(SettingsError, match="let the user that runs entrepot read it"):
        load_trust("corp.test", str(tmp_path))
