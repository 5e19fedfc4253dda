"""Bundles that anybody may have made: the commands that read them say that nobody checked this."""

import asyncio
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from registry.cli.main import build_cli
from tests.harness.import_side import APP, make_bundle, sign_bundle

NOT_SIGNED = "entrepot: the bundle is not signed: anybody may have made it"
REQUIRE = "; to refuse such bundles, set keys and require_signature in [bundles] of the settings"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle without a signature."""
    folder = tmp_path_factory.mktemp("unsigned")

    (folder / "app.tar").write_bytes(asyncio.run(make_bundle(folder / "data", b"layer")))
    return folder / "app.tar"


@pytest.mark.parametrize(
    ("command", "further", "cure"),
    [("verify", [], ""), ("check", [APP], ""), ("import", [], REQUIRE)],
)
def test_an_unsigned_bundle_is_said(
    bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    further: list[str],
    cure: str,
) -> None:
    """One line says that there is no signature; `import` also says how to require one."""
    monkeypatch.setenv("ENTREPOT_STORAGE__PATH", str(tmp_path / "data"))
    done = CliRunner().invoke(build_cli(), ["bundle", command, str(bundle), *further])
    assert done.exit_code == 0, done.output
    (line,) = [line for line in done.stderr.splitlines() if line.startswith(NOT_SIGNED)]
    assert line == f"{NOT_SIGNED}{cure}"
    assert "signed" not in done.stdout


@pytest.mark.parametrize(("command", "further"), [("verify", []), ("check", [APP]), ("import", [])])
def test_a_signature_that_was_not_checked_is_said_once(
    bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    further: list[str],
) -> None:
    """Each command names the same command that checks it, which can be copied."""
    monkeypatch.setenv("ENTREPOT_STORAGE__PATH", str(tmp_path / "data"))
    signed = tmp_path / "signed one.tar"
    content, key = sign_bundle(bundle.read_bytes(), tmp_path / "ours")
    signed.write_bytes(content)
    done = CliRunner().invoke(build_cli(), ["bundle", command, str(signed), *further])
    assert done.exit_code == 0, done.output
    check = f"entrepot bundle verify '{signed}' --key PEM"
    assert f"the signature of the bundle was not checked; check it: {check}\n" in done.stderr
    assert done.output.count("not checked") == 1
    info = CliRunner().invoke(build_cli(), ["bundle", "info", str(signed)]).stdout
    assert f"  signature  signed, not checked; check it: {check}\n" in info
    words = [*shlex.split(check.replace("PEM", str(key)))[1:]]
    assert "signed by" in CliRunner().invoke(build_cli(), words).stdout
