"""Bundles in a folder: what the commands say of them."""

import asyncio
import json
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from registry.cli.main import build_cli
from tests.harness.bundles import write_volumes
from tests.harness.filled_folder import open_filled

AMD = ("--platform", "linux/amd64")


def write_folder(place: Path) -> str:
    """Write a bundle of one image into the folder `y`, and return what the command printed."""
    config = place / "entrepot.toml"
    config.write_text(f"storage.path = {json.dumps(str(place / 'data'))}\n")

    async def fill() -> None:
        async with open_filled(place / "data") as filled:
            await filled.put_image("docker.io/library/app:1", [b"layer"])

    asyncio.run(fill())
    words = ["bundle", "create", "-o", f"{place}/y/", "app:1", *AMD, "--config", str(config)]
    done = CliRunner().invoke(build_cli(), words)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_folder_is_not_called_a_file(tmp_path: Path) -> None:
    """`create` and `info` name the programs that read a folder; docker reads one file only."""
    written = write_folder(tmp_path)
    assert "; folder size " in written
    described = CliRunner().invoke(build_cli(), ["bundle", "info", f"{tmp_path}/y"]).stdout
    for output in (written, described):
        readers = output.partition("readable by: ")[2].partition("; by others after")[0]
        assert readers.startswith("entrepot, oras (--oci-layout), skopeo (oci:), umoci")
        assert "docker load" not in readers


def test_a_file_that_is_absent_is_not_called_changed(tmp_path: Path) -> None:
    """An incomplete copy of a folder has files that are missing."""
    write_folder(tmp_path)
    (tmp_path / "y" / "README.txt").unlink()
    (tmp_path / "y" / "index.json").write_text("{}")
    done = CliRunner().invoke(build_cli(), ["bundle", "verify", f"{tmp_path}/y"])
    assert done.exit_code == 1
    assert "README.txt is missing\n" in done.stdout
    assert "index.json was changed\n" in done.stdout


@pytest.mark.parametrize("command", ["verify", "info", "import"])
def test_an_extracted_volume_is_called_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """The parts of cut blobs in it could not be read, so it is refused as a whole."""
    monkeypatch.setenv("ENTREPOT_STORAGE__PATH", str(tmp_path / "there"))

    async def write() -> list[Path]:
        async with open_filled(tmp_path / "here") as here:
            await here.put_image("docker.io/library/app:1", [b"app" * 80_000])
            return await write_volumes(here, ["docker.io/library/app:1"], tmp_path, 80_000)

    volume, *_ = asyncio.run(write())
    (tmp_path / "out").mkdir()
    subprocess.run(["tar", "-xf", str(volume), "-C", str(tmp_path / "out")], check=True)
    done = CliRunner().invoke(build_cli(), ["bundle", command, f"{tmp_path}/out"])
    assert done.exit_code == 1
    assert f"{tmp_path}/out: it is a volume that was extracted; give the file" in done.stderr
