"""`bundle join` says which programs read what it wrote: of a delta, none but Entrepôt."""

import asyncio
from pathlib import Path

from typer.testing import CliRunner

from registry.cli.main import build_cli
from registry.oci.digest import Digest
from tests.harness.bundles import write_bundle, write_volumes
from tests.harness.filled_folder import open_filled

APP, LARGE = "docker.io/library/app:1", b"app" * 80_000


def test_the_readers_of_the_joined_file_are_named(tmp_path: Path) -> None:
    """Who joins a delta for docker learns at once that docker cannot load it."""

    async def write() -> None:
        async with open_filled(tmp_path / "here") as here:
            await here.put_image(APP, [LARGE])
            (tmp_path / "volumes").mkdir()
            await write_volumes(here, [APP], tmp_path / "volumes", 80_000)
            delta = await write_bundle(here, [APP], frozenset({Digest.of(LARGE)}))
            (tmp_path / "delta.tar").write_bytes(delta)

    asyncio.run(write())

    def join(*words: str) -> list[str]:
        done = CliRunner().invoke(build_cli(), ["bundle", "join", *words])
        assert done.exit_code == 0, done.output
        return done.stdout.splitlines()

    target = f"{tmp_path}/joined.tar"
    readers, path = join(f"{tmp_path}/volumes", "-o", target)
    assert readers.startswith("readable by: entrepot, docker load, podman load")
    assert path == target
    assert join(f"{tmp_path}/volumes", "-o", target, "--quiet") == []
    of_delta = join(f"{tmp_path}/delta.tar", "-o", f"{tmp_path}/copy.tar")
    assert of_delta[0].startswith("readable by: entrepot bundle import")
    assert "docker load" in " ".join(of_delta[:-1])
