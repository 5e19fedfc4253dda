"""Bundles in a folder: what the commands say of them."""

import asyncio
import json
from pathlib import Path

from typer.testing import CliRunner

from registry.cli.main import build_cli
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
