"""Volumes that are imported one after the other: what each import says of the others."""

import asyncio
import json
from pathlib import Path

from typer.testing import CliRunner, Result

from registry.cli.main import build_cli
from tests.harness.bundles import write_volumes
from tests.harness.filled_folder import open_filled

APP = "docker.io/library/app:1"


def test_volumes_that_were_imported_before_are_not_called_missing(tmp_path: Path) -> None:
    """An import does not know which volumes came before, so it says which were not given to it."""

    async def write() -> list[Path]:
        async with open_filled(tmp_path / "here") as here:
            await here.put_image(APP, [b"%d" % number * 9_000 for number in range(10, 30)])
            return await write_volumes(here, [APP], tmp_path, 150_000)

    first, *others = asyncio.run(write())
    count = len(others) + 1
    assert count > 2
    config = tmp_path / "there.toml"
    config.write_text(f"storage.path = {json.dumps(str(tmp_path / 'there'))}\n")
    options = ("--need", f"{tmp_path}/need.json", "--config", str(config))

    def load(path: Path) -> Result:
        return CliRunner().invoke(build_cli(), ["bundle", "import", str(path), *options])

    last = [load(path) for path in others][-1]
    assert f"volumes 1-{count - 1} of {count} were not given now\n" in last.stdout
    # The manifest is in the first volume: before that, nobody knows what else is missing.
    assert f"incomplete: {APP}: missing 1 blob, at least " in last.stdout
    assert load(first).exit_code == 0
