"""Where `bundle create` writes: never without room, and beside other bundles."""

import asyncio
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from registry.cli.main import build_cli
from tests.harness.depot import open_depot

LAYER = bytes(3_000_000)
Create = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The configuration of a data folder with two images."""
    folder = tmp_path_factory.mktemp("depot")

    async def fill() -> None:
        async with open_depot(folder / "data") as depot:
            await depot.put_image("docker.io/library/large:1", [LAYER])
            await depot.put_image("docker.io/library/small:1", [b"small"])

    asyncio.run(fill())
    path = folder / "entrepot.toml"
    path.write_text(f"storage.path = {json.dumps(str(folder / 'data'))}\n")
    return path


@pytest.fixture
def create(config: Path) -> Create:
    """Run `bundle create`, and return the exit code and what it says on stderr."""

    def run(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(
            build_cli(), ["bundle", "create", *words, "--config", str(config)]
        )
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, done.stderr

    return run


def leave(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    """Have all disks say that so many bytes are free."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))


def test_a_disk_without_room_is_told_before_the_first_byte(
    create: Create, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is wanted and what is free are named, and no file is begun."""
    leave(monkeypatch, 1_000_000)
    code, told = create("-o", str(tmp_path / "a.tar"), "large:1")
    assert code == 1
    assert "has 977 KiB free, and the bundle needs 2.87 MiB more" in told
    assert [*tmp_path.iterdir()] == []


def test_a_file_of_another_bundle_is_no_room(
    create: Create, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stays until the new one is whole, so both have to fit."""
    assert create("-o", str(tmp_path / "a.tar"), "large:1")[0] == 0
    leave(monkeypatch, 1_000_000)
    assert create("-o", str(tmp_path / "a.tar"), "large:1")[0] == 0  # it is there already
    code, told = create("-o", str(tmp_path / "a.tar"), "large:1", "small:1")
    assert (code, "free, and the bundle needs" in told) == (1, True)


def test_what_is_written_of_it_counts(
    create: Create, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupted file needs only the rest."""
    whole = tmp_path / "a.tar"
    assert create("-o", str(whole), "large:1")[0] == 0
    content = whole.read_bytes()
    whole.unlink()
    (tmp_path / "a.tar.part").write_bytes(content[:2_500_000])
    leave(monkeypatch, 1_000_000)
    assert create("-o", str(whole), "large:1")[0] == 0
    assert whole.read_bytes() == content


def test_sums_of_other_bundles_stay(create: Create, tmp_path: Path) -> None:
    """Two bundles in one folder are checked by one file; what is gone is not in it."""
    for name in ("large", "small"):
        words = ("-o", str(tmp_path / f"{name}.tar"), "--volume-size", "1MiB", f"{name}:1")
        assert create(*words)[0] == 0
    command = ["sha256sum", "--strict", "-c", "SHA256SUMS"]
    told = subprocess.check_output(command, cwd=tmp_path, text=True)
    assert [line.partition("-")[0] for line in told.splitlines()] == ["large"] * 3 + ["small"]
    (tmp_path / "small-0001-of-0001.tar").unlink()
    assert create("-o", str(tmp_path / "large.tar"), "--volume-size", "1MiB", "large:1")[0] == 0
    assert "small" not in (tmp_path / "SHA256SUMS").read_text()
