"""Volumes of several bundles at one place: no command chooses one of them."""

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from registry.cli.main import build_cli
from tests.harness.bundles import write_volumes
from tests.harness.filled_folder import open_filled


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the volumes of two bundles, and beside it those of one alone."""
    site = tmp_path_factory.mktemp("site")
    (site / "disk").mkdir()

    async def write(name: str, size: int) -> None:
        image = f"docker.io/library/{name}:1"
        made = site / f"{name}-{size}"
        async with open_filled(site / f"data-{name}") as filled:
            await filled.put_image(image, [name.encode() * 60_000])
            made.mkdir()
            await write_volumes(filled, [image], made, size)
        for path in made.iterdir():
            (site / "disk" / f"{name}-{path.name}").write_bytes(path.read_bytes())

    asyncio.run(write("may", 80_000))
    asyncio.run(write("june", 80_000))
    return site / "disk"


def run(place: Path, *words: str) -> Result:
    config = place / "entrepot.toml"
    config.write_text(f"storage.path = {json.dumps(str(place / 'data'))}\n")
    options = ("--config", str(config)) if words[0] in ("import", "check") else ()
    return CliRunner().invoke(build_cli(), ["bundle", *words, *options])


@pytest.mark.parametrize(
    "command",
    [
        ["import", "DISK"],
        ["import", "DISK", "--dry-run"],
        ["verify", "DISK"],
        ["info", "DISK"],
        ["check", "DISK", "may:1"],
        ["serve", "DISK", "--listen", "127.0.0.1:0", "--console", "127.0.0.1:0"],
        ["join", "DISK", "-o", "OUT"],
        ["diff", "DISK", "DISK"],
    ],
    ids=" ".join,
)
def test_volumes_of_two_bundles_are_refused(disk: Path, tmp_path: Path, command: list[str]) -> None:
    """The error says of how many, and names a file of each; nothing is imported or written."""
    places = {"DISK": str(disk), "OUT": str(tmp_path / "out.tar")}
    done = run(tmp_path, *(places.get(word, word) for word in command))
    assert done.exit_code in (1, 2)
    assert "these are volumes of 2 bundles (" in done.stderr
    assert f"{disk}/june-" in done.stderr
    assert f"{disk}/may-" in done.stderr
    assert "give the files of one" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) in (
        ["data", "entrepot.toml"],
        ["entrepot.toml"],
    )


async def test_one_bundle_that_was_cut_twice_is_refused(tmp_path: Path) -> None:
    """Its volumes have the same numbers, and the parts of blobs do not fit together."""
    async with open_filled(tmp_path / "data") as filled:
        await filled.put_image("docker.io/library/app:1", [b"app" * 80_000])
        for size in (80_000, 110_000):
            (tmp_path / str(size)).mkdir()
            await write_volumes(filled, ["docker.io/library/app:1"], tmp_path / str(size), size)
    files = [*(tmp_path / "80000").iterdir(), *(tmp_path / "110000").iterdir()]
    done = run(tmp_path, "verify", *map(str, files))
    assert done.exit_code == 1
    assert "these are volumes of one bundle that was cut in two ways" in done.stderr
