"""Entries that somebody has added to a signed bundle: import refuses it as verify does."""

import asyncio
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from registry.bundle.format.tar import BLOCK, END, format_blob_name, write_header
from registry.oci.digest import Digest
from tests.harness.bundle_files import BundleProcess
from tests.harness.bundles import write_volumes
from tests.harness.filled_folder import open_filled
from tests.harness.import_side import APP, BASE, make_bundle, make_import_side, run, sign_bundle
from tests.harness.mirror import run_command
from tests.integration.wire import list_tree

EVIL = b"evil" * 200
OTHER = Digest.of(EVIL)


def make_entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", **fields: object) -> bytes:
    """Return an entry as a program such as tar writes it."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, link, 0o644
    info.size = len(EVIL) if kind == tarfile.REGTYPE else 0
    for field, value in fields.items():
        setattr(info, field, value)
    form = tarfile.GNU_FORMAT if len(name) < 90 else tarfile.PAX_FORMAT
    content = EVIL.ljust(-(-len(EVIL) // BLOCK) * BLOCK, b"\0") if info.size else b""
    return info.tobuf(form) + content


def make_own_entry(name: str) -> bytes:
    """Return an entry in the very form of bundles."""
    return write_header(name, len(EVIL)) + EVIL.ljust(2 * BLOCK, b"\0")


LAYER = format_blob_name(Digest.of(BASE))
ENTRIES = {
    "above the folder": make_entry("../../evil"),
    "in our form": write_header("../../evil", 0),
    "absolute": make_entry("/tmp/evil"),
    "another file": make_entry("evil.sh"),
    "a long name": make_entry("../" * 50 + "evil"),
    "a symbolic link": make_entry("blobs/sha256/link", tarfile.SYMTYPE, "/etc/passwd"),
    "a link with the name of a blob": make_entry(LAYER, tarfile.SYMTYPE, "/etc/passwd"),
    "a hard link": make_entry("index.json", tarfile.LNKTYPE, "bundle.json"),
    "a folder": make_entry("blobs/", tarfile.DIRTYPE),
    "a device": make_entry("null", tarfile.CHRTYPE, devmajor=1, devminor=3),
    "a named pipe": make_entry("pipe", tarfile.FIFOTYPE),
    "a blob that is not listed": make_own_entry(format_blob_name(OTHER)),
    "a part of a blob": make_own_entry(format_blob_name(OTHER, 1)),
    "a blob with another size": make_own_entry(LAYER),
    "a file again": make_own_entry("README.txt"),
    "a program that runs": make_entry("README.txt", mode=0o755),
}
# `make test` adds these, and `make test-programs` the others.
TYPICAL = ("above the folder", "a link with the name of a blob", "a part of a blob", "a file again")


@dataclass(frozen=True)
class Signed:
    """A signed bundle in a file, and the file of its public key."""

    path: Path
    raw: bytes
    key: Path


@pytest.fixture
async def signed(tmp_path: Path) -> Signed:
    raw, key = sign_bundle(await make_bundle(tmp_path / "here", BASE), tmp_path / "ours")
    return Signed(tmp_path / "b.tar", raw, key)


def append(raw: bytes, entry: bytes) -> bytes:
    """Add an entry before the end, as `tar -r` does."""
    return raw[: -len(END)] + entry + END


def insert(raw: bytes, entry: bytes) -> bytes:
    """Add an entry before the first blob."""
    blocks = range(0, len(raw), BLOCK)
    place = next(at for at in blocks if raw[at:].startswith(b"blobs/sha256/"))
    return raw[:place] + entry + raw[place:]


@pytest.mark.parametrize(
    "entry",
    [
        name if name in TYPICAL else pytest.param(name, marks=pytest.mark.programs)
        for name in ENTRIES
    ],
)
async def test_what_was_appended_is_refused(tmp_path: Path, signed: Signed, entry: str) -> None:
    """Both commands exit with 1 and say what it is; nothing gets a name, nothing leaves the folder.

    The right bundle is imported afterwards.
    """
    signed.path.write_bytes(append(signed.raw, ENTRIES[entry]))
    config = await make_import_side(tmp_path)
    key = ("--key", str(signed.key))
    before = list_tree(tmp_path.parent)

    verified = run_command("bundle", "verify", str(signed.path), *key, "--json")
    done = run(config, "import", str(signed.path), *key, code=1)

    wrong = json.loads(verified.stdout)["problems"]
    assert verified.returncode == 1
    assert len(wrong) == 1
    assert (done["problems"], done["refused"], done["images"]) == (wrong, {APP: wrong[0]}, [])
    assert not done["whole"]
    assert list((tmp_path / "data" / "tags").rglob("tag-*")) == []
    added = {Path(name) for name in set(list_tree(tmp_path.parent)) - set(before)}
    assert all("data" in path.parts for path in added), added
    assert not list((tmp_path / "data").rglob(f"{OTHER.encoded}*"))
    signed.path.write_bytes(signed.raw)
    assert run(config, "import", str(signed.path), *key)["images"] == [APP]


@pytest.mark.parametrize("entry", ["above the folder", "a symbolic link", "a folder"])
async def test_what_was_inserted_is_refused(tmp_path: Path, signed: Signed, entry: str) -> None:
    """Also before the blobs, where the small files are."""
    signed.path.write_bytes(insert(signed.raw, ENTRIES[entry]))
    config = await make_import_side(tmp_path)
    assert run_command("bundle", "verify", str(signed.path)).returncode == 1
    assert run(config, "import", str(signed.path), code=1)["images"] == []


def add_bytes(raw: bytes) -> bytes:
    """Append another archive after the end, as `cat` does."""
    return raw + ENTRIES["above the folder"] + END


def change_readme(raw: bytes) -> bytes:
    """Change a small file that the signature does not cover."""
    return raw.replace(b"Entrep", b"entrep")


def fill_padding(raw: bytes) -> bytes:
    """Hide bytes behind a file."""
    place = raw.index(b'"imageLayoutVersion"')
    place += raw[place:].index(b"\0")
    return raw[:place] + b"#!/bin/sh" + raw[place + 9 :]


@pytest.mark.parametrize("change", [add_bytes, change_readme, fill_padding])
async def test_what_else_was_changed_is_a_problem(
    tmp_path: Path, signed: Signed, change: Callable[[bytes], bytes]
) -> None:
    """What damage also explains is imported as far as it is right, and the exit code is 1."""
    signed.path.write_bytes(change(signed.raw))
    assert signed.path.read_bytes() != signed.raw
    config = await make_import_side(tmp_path)
    verified = run_command("bundle", "verify", str(signed.path), "--json")
    done = run(config, "import", str(signed.path), "--key", str(signed.key), code=1)
    assert verified.returncode == 1
    assert done["problems"] == json.loads(verified.stdout)["problems"] != []
    assert done["images"] == [APP]


async def test_a_stream_with_an_added_entry_is_refused(tmp_path: Path, signed: Signed) -> None:
    """From a pipe the entry is seen only after the blobs, and still before any name."""
    config = await make_import_side(tmp_path)
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "registry", "bundle", "import", "-", "--config", str(config)],
        input=append(signed.raw, ENTRIES["above the folder"]),
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert f"refused: {APP}: stdin: byte" in done.stdout.decode()


async def test_a_volume_with_an_added_entry_is_refused(tmp_path: Path) -> None:
    """The entry may be in any volume."""
    async with open_filled(tmp_path / "here") as here:
        await here.put_image(APP, [os.urandom(200_000)])
        volumes = await write_volumes(here, [APP], tmp_path, 96 * 1024)
    changed = append(volumes[1].read_bytes(), ENTRIES["above the folder"])
    volumes[1].write_bytes(changed)
    config = await make_import_side(tmp_path)
    done = run(config, "import", *map(str, volumes), code=1)
    assert (done["images"], list(done["refused"])) == ([], [APP])


async def test_a_changed_bundle_is_not_served(tmp_path: Path, signed: Signed) -> None:
    """`bundle serve` exits with 1 and says why."""
    signed.path.write_bytes(append(signed.raw, ENTRIES["above the folder"]))
    refused = BundleProcess(tmp_path / "served", (signed.path,), workers=1).refuse()
    assert refused.returncode == 1
    assert "../../evil" in refused.stdout
