"""Bundles that anybody may have made: the commands that read them say that nobody checked this."""

import asyncio
from pathlib import Path

import pytest
from typer.testing import CliRunner

from registry.cli.main import build_cli
from tests.harness.import_side import make_bundle

NOT_SIGNED = "entrepot: the bundle is not signed, and no signature was asked for"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle without a signature."""
    folder = tmp_path_factory.mktemp("unsigned")

    (folder / "app.tar").write_bytes(asyncio.run(make_bundle(folder / "data", b"layer")))
    return folder / "app.tar"


@pytest.mark.parametrize(
    ("command", "cure"),
    [
        ("verify", "name its maker's public key with --key"),
        ("import", "name its maker's public key with --key, or in bundles.keys of the settings"),
    ],
)
def test_an_unsigned_bundle_is_said(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, cure: str
) -> None:
    """One line says that no signature was checked, and how to require one."""
    monkeypatch.setenv("ENTREPOT_STORAGE__PATH", str(tmp_path / "data"))
    done = CliRunner().invoke(build_cli(), ["bundle", command, str(bundle)])
    assert done.exit_code == 0, done.output
    (line,) = [line for line in done.stderr.splitlines() if line.startswith(NOT_SIGNED)]
    assert line.endswith(f"; to accept only signed bundles, {cure}")
