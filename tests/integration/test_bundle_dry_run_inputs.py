"""Dry runs of `bundle import` where it reads in another way than the import."""

from pathlib import Path

import pytest

from registry.bundle.format.inventory import write_need
from registry.oci.digest import Digest
from tests.harness.commands import run_command
from tests.harness.import_side import APP, BASE, LAYER, make_bundle, make_import_side, sign_bundle
from tests.integration.test_bundle_added_entries import ENTRIES, append
from tests.integration.test_bundle_dry_run import strip


@pytest.mark.parametrize(
    "entry", ["above the folder", "a link with the name of a blob", "a blob that is not listed"]
)
async def test_an_added_entry_is_refused_by_both(tmp_path: Path, entry: str) -> None:
    """Nothing of the bundle would be imported, and nothing is; with the same words."""
    raw, key = sign_bundle(await make_bundle(tmp_path / "here", BASE), tmp_path / "ours")
    (tmp_path / "b.tar").write_bytes(append(raw, ENTRIES[entry]))
    config = await make_import_side(tmp_path)
    words = ("bundle", "import", str(tmp_path / "b.tar"), "--key", str(key))

    tried = run_command(*words, "--config", str(config), "--dry-run")
    done = run_command(*words, "--config", str(config))

    assert (tried.returncode, done.returncode) == (1, 1)
    assert strip(tried.stdout) == done.stdout
    assert strip(tried.stderr) == done.stderr
    assert f"refused: {APP}" in done.stdout


@pytest.mark.parametrize("cut", [0, 5000])
async def test_a_stream_is_tried_too(tmp_path: Path, cut: int) -> None:
    """From stdin, whole and cut off, the dry run reads all of it and says the same."""
    raw = await make_bundle(tmp_path / "here", BASE, LAYER)
    raw = raw[: len(raw) - cut] if cut else raw
    config = await make_import_side(tmp_path)
    need = ("--need", str(tmp_path / "need.json"))
    words = ("bundle", "import", "-", "--config", str(config), *need)

    tried = run_command(*words, "--dry-run", stdin=raw)
    done = run_command(*words, stdin=raw)

    assert (tried.returncode, done.returncode) == (int(bool(cut)), int(bool(cut)))
    assert strip(tried.stdout) == done.stdout
    assert strip(tried.stderr) == done.stderr


async def test_a_dry_run_makes_no_data_folder(tmp_path: Path) -> None:
    """Where no data folder is, both say the same, and only the import makes it."""
    (tmp_path / "b.tar").write_bytes(await make_bundle(tmp_path / "here", BASE))
    config = tmp_path / "entrepot.toml"
    config.write_text(f'[storage]\npath = "{tmp_path / "new"}"\n')
    words = ("bundle", "import", str(tmp_path / "b.tar"), "--config", str(config))

    tried = run_command(*words, "--dry-run")
    before = (tmp_path / "new").exists()
    done = run_command(*words)

    made = f"entrepot: made the data folder {tmp_path / 'new'}\n"
    assert (tried.returncode, before, done.returncode) == (0, False, 0)
    assert strip(tried.stdout) == done.stdout
    assert strip(tried.stderr) == done.stderr.replace(made, "")


async def test_the_need_of_another_import_stays(tmp_path: Path) -> None:
    """A need.json of another bundle is handled as the dry run says."""
    have = frozenset({Digest.of(BASE)})
    raw = await make_bundle(tmp_path / "here", BASE, LAYER, have=have)
    (tmp_path / "b.tar").write_bytes(raw)
    need = tmp_path / "need.json"
    need.write_bytes(write_need("sha256:" + "0" * 64, [APP], [(Digest.of(b"other"), 5)]))
    config = await make_import_side(tmp_path)
    words = ("bundle", "import", str(tmp_path / "b.tar"), "--config", str(config))

    before = need.read_bytes()
    tried = run_command(*words, "--need", str(need), "--dry-run")
    unchanged = need.read_bytes()
    done = run_command(*words, "--need", str(need))

    assert unchanged == before
    assert (tried.returncode, done.returncode) == (1, 1)
    assert strip(tried.stdout) == done.stdout
    assert strip(tried.stderr) == done.stderr
