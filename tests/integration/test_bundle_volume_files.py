"""Messages about damaged volumes and files: the most important message comes first."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from registry.oci.digest import Digest
from tests.harness.bundles import write_volumes
from tests.harness.filled_folder import open_filled
from tests.harness.import_side import (
    APP,
    BASE,
    LAYER,
    make_bundle,
    make_import_side,
    run,
    sign_bundle,
)
from tests.harness.mirror import run_command


async def test_a_volume_is_verified_alone(tmp_path: Path) -> None:
    """Each volume says which it is and that it is right, without the others."""
    async with open_filled(tmp_path / "here") as here:
        await here.put_image(APP, [os.urandom(200_000)])
        first, *others = await write_volumes(here, [APP], tmp_path, 96 * 1024)

    alone = run_command("bundle", "verify", str(first)).stdout
    most = run_command("bundle", "verify", *map(str, others))

    assert alone.startswith(f"volume 1 of {1 + len(others)} of sha256:")
    assert most.returncode == 1
    assert f"volume 1 of {1 + len(others)} is missing; copy it, and verify it too\n" in most.stdout


async def test_a_volume_from_a_pipe_is_not_called_damaged(tmp_path: Path) -> None:
    """A stream cannot go back to the parts of a volume: the message says so, and what to do."""
    async with open_filled(tmp_path / "here") as here:
        await here.put_image(APP, [os.urandom(200_000)])
        first, *_ = await write_volumes(here, [APP], tmp_path, 96 * 1024)
    for words in (f"- < {first}", f"<(cat {first})", f"/dev/stdin < <(cat {first})"):
        script = f"{sys.executable} -m registry bundle verify {words}"
        done = await asyncio.to_thread(
            subprocess.run, ["bash", "-c", script], capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 1
        assert "it is a volume, which cannot be read from a stream; give its file" in done.stderr


async def test_a_part_alone_is_not_proven_by_the_signature(tmp_path: Path) -> None:
    """The signature does not cover the parts in one volume, and `verify` says so."""
    async with open_filled(tmp_path / "here") as here:
        await here.put_image(APP, [os.urandom(200_000)])
        _, second, *_ = await write_volumes(here, [APP], tmp_path, 96 * 1024)
    signed, key = sign_bundle(second.read_bytes(), tmp_path / "ours")
    second.write_bytes(signed)
    done = run_command("bundle", "verify", str(second), "--key", str(key)).stdout
    assert "0 blobs and 1 part of cut blobs verified" in done
    assert "; the parts are checked by volume.json, which is not signed" in done


@pytest.mark.parametrize("is_known", [False, True])
async def test_a_file_that_was_cut_off_says_where_once(tmp_path: Path, is_known: bool) -> None:
    """Verify and import say the real length, whether the last blob was read or was here."""
    raw = await make_bundle(tmp_path / "here", BASE)
    cut = tmp_path / "cut.tar"
    cut.write_bytes(raw[: raw.index(BASE) + 4567])
    config = await make_import_side(tmp_path)
    if is_known:
        async with open_filled(tmp_path / "data") as there:
            await there.put_blob(BASE)
    name = f"blobs/sha256/{Digest.of(BASE).encoded}"
    why = f"{cut}: it ends too early, at byte {cut.stat().st_size}, within {name}; copy it again"

    verified = run_command("bundle", "verify", str(cut)).stdout
    need = ("--need", str(tmp_path / "need.json"), "--config", str(config))
    imported = run_command("bundle", "import", str(cut), *need).stdout

    assert verified.splitlines()[0] == why
    assert f"problem: {why}\n" in imported
    for said in (verified, imported):
        assert said.count("it ends too early") == 1


async def test_a_volume_without_its_beginning_is_no_bundle(tmp_path: Path) -> None:
    """The message names the damage and what to do; no blob is called missing."""
    async with open_filled(tmp_path / "here") as here:
        await here.put_image(APP, [os.urandom(200_000)])
        first, *others = await write_volumes(here, [APP], tmp_path, 96 * 1024)
    damaged = bytearray(first.read_bytes())
    damaged[5] ^= 1
    first.write_bytes(damaged)

    alone = run_command("bundle", "verify", str(first))
    together = run_command("bundle", "verify", str(first), *map(str, others))

    why = f"{first}: its volume.json cannot be found; copy this volume again"
    assert (alone.returncode, alone.stdout) == (1, "")
    assert f"{why} (no file begins at byte 0 (bad checksum))" in alone.stderr
    assert together.returncode == 1
    assert together.stdout.startswith(f"{why} (no file begins at byte 0 (bad checksum))\n")
    assert together.stdout.count("no file begins") == 1
    missing = f"volume 1 of {1 + len(others)} is missing; copy it, and verify it too\n"
    *_, lack, others_verified = together.stdout.splitlines(keepends=True)
    assert lack == missing
    numbers = "volume 2" if len(others) == 1 else f"volumes 2-{1 + len(others)}"
    assert others_verified.startswith(f"{numbers} of {1 + len(others)} of sha256:")


async def test_a_bundle_without_its_beginning_is_read_on(tmp_path: Path) -> None:
    """The damage of the beginning is printed first, and the images after it are imported."""
    raw = bytearray(await make_bundle(tmp_path / "here", BASE))
    raw[5] ^= 1
    (tmp_path / "b.tar").write_bytes(raw)
    config = await make_import_side(tmp_path)
    verified = run_command("bundle", "verify", str(tmp_path / "b.tar"))
    assert verified.returncode == 1
    assert "no file begins at byte 0" in verified.stdout.splitlines()[0]
    assert run(config, "import", str(tmp_path / "b.tar"), code=1)["images"] == [APP]


async def test_volumes_one_by_one_fit_where_all_of_it_fits(tmp_path: Path) -> None:
    """Stored parts of a blob reserve no space again; each dry run says how many bytes are new."""
    async with open_filled(tmp_path / "here") as here:
        await here.put_image(APP, [os.urandom(3_000_000), LAYER])
        volumes = await write_volumes(here, [APP], tmp_path, 1_100_000)
    config = await make_import_side(tmp_path, 'limit = "3200KB"\n')
    last, need = len(volumes) - 1, ("--need", str(tmp_path / "need.json"))
    assert last > 1
    for number, path in enumerate(reversed(volumes)):
        code = int(number != last)
        plan = run(config, "import", str(path), *need, "--dry-run", code=code)
        done = run(config, "import", str(path), *need, code=code)
        assert plan["new_bytes"] == done["new_bytes"] > 0
    again = run_command("bundle", "import", str(volumes[0]), "--config", str(config)).stdout
    assert "already stored: 1 image" in again
    assert "missing" not in again


async def test_the_missing_bytes_of_a_cut_blob_are_printed(tmp_path: Path) -> None:
    """The command prints the missing bytes, the kept bytes, and the volumes that were not given."""
    async with open_filled(tmp_path / "here") as here:
        await here.put_image(APP, [os.urandom(3_000_000)])
        volumes = await write_volumes(here, [APP], tmp_path, 1_100_000)
    config = await make_import_side(tmp_path)
    need = ("--need", str(tmp_path / "need.json"))
    done = run_command("bundle", "import", str(volumes[1]), "--config", str(config), *need)
    assert len(volumes) == 3
    assert "is cut over volumes, and 1.8" in done.stdout
    assert " of 2.86 MiB are missing\nvolumes 1, 3 of 3 were not given now\n" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("stored 1.0")
    assert done.stdout.endswith(" MiB; 0 B were stored before\n")
