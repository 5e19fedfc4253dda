"""What becomes of a `need.json` when bundles come after it: it never outlives its reason."""

import json
from pathlib import Path

from registry.bundle.format.inventory import write_inventory, write_need
from registry.oci.digest import Digest
from tests.harness.bundles import write_bundle
from tests.harness.commands import run_command
from tests.harness.filled_folder import open_filled

APP, OTHER = "docker.io/library/app:1", "docker.io/library/other:1"
BASE = b"base" * 20_000
LACKS = [(Digest.of(BASE), len(BASE))]
ID = "sha256:" + "0" * 64


async def make_bundle(path: Path) -> tuple[str, ...]:
    """Make a bundle of an image; the command that imports it."""
    async with open_filled(path / "here") as filled:
        await filled.put_image(APP, [b"layer"])
        raw = await write_bundle(filled, [APP])
    (path / "b.tar").write_bytes(raw)
    config = path / "entrepot.toml"
    config.write_text(f"storage.path = {json.dumps(str(path / 'data'))}\n")
    return ("bundle", "import", str(path / "b.tar"), "--config", str(config), "--need")


async def test_a_need_with_missing_blobs_stays(tmp_path: Path) -> None:
    """It is said that it does, until its blobs are here."""
    command, need = await make_bundle(tmp_path), tmp_path / "need.json"
    need.write_bytes(write_need(ID, [OTHER], LACKS))
    done = run_command(*command, str(need))
    assert (done.returncode, need.exists()) == (0, True)
    assert f"{need} is of another import, and stays: 1 blob of it is still missing\n" in done.stderr

    async with open_filled(tmp_path / "data") as there:
        await there.put_blob(BASE)
    done = run_command(*command, str(need))
    assert (done.returncode, need.exists()) == (0, False)
    assert f"removed {need}: nothing in it is missing any more\n" in done.stderr


async def test_a_need_of_images_that_are_whole_goes(tmp_path: Path) -> None:
    """Their names lead elsewhere by now, so that what lacked is not wanted any more."""
    command, need = await make_bundle(tmp_path), tmp_path / "need.json"
    need.write_bytes(write_need(ID, [APP], LACKS))
    assert (run_command(*command, str(need)).returncode, need.exists()) == (0, False)


async def test_a_need_that_cannot_be_written_is_not_announced(tmp_path: Path) -> None:
    """The rest of the report is printed, and the error comes after it."""
    command, need = await make_bundle(tmp_path), tmp_path / "none" / "need.json"
    bundle = tmp_path / "b.tar"
    bundle.write_bytes(bundle.read_bytes().replace(b"layer", b"wrong"))
    for more in ((), ("--dry-run",)):
        done = run_command(*command, str(need), *more)
        if not more:
            assert done.returncode == 1
            assert f"{need} cannot be written (No such file or directory)" in done.stderr
            assert f"incomplete: {APP}" in done.stdout
        assert str(need) not in done.stdout


async def test_other_files_stay(tmp_path: Path) -> None:
    """An inventory is no need, and notes are neither."""
    command = await make_bundle(tmp_path)
    for name, content in (("inventory.json", write_inventory(LACKS)), ("notes", b"dear")):
        path = tmp_path / name
        path.write_bytes(content)
        assert run_command(*command, str(path)).returncode == 0
        assert path.read_bytes() == content


async def test_what_is_only_tried_removes_nothing(tmp_path: Path) -> None:
    """Not even what is obsolete."""
    command, need = await make_bundle(tmp_path), tmp_path / "need.json"
    need.write_bytes(write_need(ID, [APP], LACKS))
    assert run_command(*command, str(need), "--dry-run").returncode == 0
    assert need.exists()
