"""`bundle info` of lists that are kept beside bundles: their ids, by which deltas require them."""

import asyncio
import subprocess
from pathlib import Path

from registry.bundle.format.inventory import write_inventory
from registry.oci.digest import Digest
from tests.harness.filled_folder import open_filled
from tests.unit.bundle.test_info import APP, BASE, TOOL, fill, pack, run, run_json


async def write(folder: Path) -> None:
    """Write a bundle of two images into the file `both.tar`."""
    async with open_filled(folder / "data") as filled:
        await fill(filled)
        await pack(filled, folder / "both.tar", APP, TOOL)


def test_info_shows_the_id_of_a_list(tmp_path: Path) -> None:
    """A delta says which documents it requires by their ids; they can be found again."""
    path, blob = tmp_path / "inventory.json", Digest.of(BASE)
    path.write_bytes(write_inventory([(blob, len(BASE))]))
    asyncio.run(write(tmp_path))
    whole = tmp_path / "both.json"
    read = ["tar", "-xOf", str(tmp_path / "both.tar"), "bundle.json"]
    whole.write_bytes(subprocess.run(read, check=True, capture_output=True).stdout)

    identity = str(Digest.of(path.read_bytes()))
    assert run("info", str(path)).stdout.splitlines()[:2] == [identity, "  kind       inventory"]
    assert run_json("info", str(path))["id"] == identity
    bundle = run_json("info", str(tmp_path / "both.tar"))
    listed = run_json("info", str(whole))
    assert (listed["kind"], listed["id"]) == ("bundle.json", bundle["bundle"])
    assert listed["images"] == [APP, TOOL]
    (tmp_path / "other.json").write_text("{}")
    assert run("info", str(tmp_path / "other.json")).exit_code == 1
