"""`entrepot bundle verify` and `import`: what they read, print and refuse."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from registry.bundle.format.inventory import read_inventory
from registry.oci.digest import Digest
from registry.oci.names import Tag, parse_repository
from registry.store.data_folder import open_folder
from registry.wiring.content import open_handles
from tests.harness.bundles import write_bundle
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


def show(config: Path) -> Mapping[str, Any]:
    (found,) = json.loads(
        run_command("images", "show", APP, "--config", str(config), "--json").stdout
    )
    return found  # type: ignore[no-any-return]


async def test_a_stick_that_cannot_be_written_is_read(tmp_path: Path) -> None:
    """Nothing is written beside a bundle, in which form it may be; again, nothing is new."""
    stick = tmp_path / "stick"
    stick.mkdir()
    (stick / "b.tar").write_bytes(await make_bundle(tmp_path / "here", BASE, LAYER))
    config = await make_import_side(tmp_path)
    (stick / "b.tar").chmod(0o444)
    stick.chmod(0o555)

    before = stick.stat().st_mtime_ns
    plan = run(config, "import", str(stick / "b.tar"), "--dry-run")
    first = run(config, "import", str(stick / "b.tar"))
    second = run(config, "import", str(stick / "b.tar"))

    assert plan["new_bytes"] == first["new_bytes"] == second["known_bytes"] > len(BASE)
    assert (first["images"], second["new_bytes"]) == ([APP], 0)
    assert (stick.stat().st_mtime_ns, [*stick.iterdir()]) == (before, [stick / "b.tar"])
    shown = show(config)
    assert shown["complete"]
    assert (shown["bundle"], shown["signer"], shown["pins"]) == (first["bundle"], "", [APP])


async def test_a_bundle_comes_through_a_pipe(tmp_path: Path) -> None:
    """Both commands read stdin once, from the beginning to the end."""
    raw = await make_bundle(tmp_path / "here", BASE)
    config = await make_import_side(tmp_path)
    for words in (("verify", "-"), ("import", "-", "--config", str(config))):
        done = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "registry", "bundle", *words),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        await done.communicate(raw)
        assert done.returncode == 0
    assert show(config)["complete"]


async def test_verifying_names_the_blob_and_who_needs_it(tmp_path: Path) -> None:
    """The command names the file of a damaged layer and the images that need it; exit 1."""
    raw = await make_bundle(tmp_path / "here", BASE)
    path = tmp_path / "b.tar"
    path.write_bytes(raw.replace(BASE, BASE[:-1] + b"!"))

    done = run_command("bundle", "verify", str(path))
    facts = json.loads(run_command("bundle", "verify", str(path), "--json").stdout)

    assert done.returncode == 1
    name = f"blobs/sha256/{Digest.of(BASE).encoded}"
    count, damage, others = done.stdout.splitlines()
    assert count == f"1 of 3 blobs is damaged; copy {path} again"
    assert damage == f"damaged: {name} in {path}, needed by {APP}"
    assert others == f"{facts['bundle']}: 2 blobs verified, 503 B"
    (damage,) = facts["damaged"]
    assert (damage["digest"], damage["needed_by"]) == (str(Digest.of(BASE)), [APP])


async def test_missing_layers_are_printed_and_written_to_need_json(tmp_path: Path) -> None:
    """If omitted layers are not stored, the tag stays as it was, and need.json lists the layers."""
    have = frozenset({Digest.of(BASE)})
    (tmp_path / "b.tar").write_bytes(await make_bundle(tmp_path / "here", BASE, LAYER, have=have))
    config = await make_import_side(tmp_path)
    need = tmp_path / "need.json"

    done = run(config, "import", str(tmp_path / "b.tar"), "--need", str(need), code=1)

    blob = {"digest": str(Digest.of(BASE)), "size": len(BASE), "manifest": False}
    assert done["incomplete"] == {APP: [blob]}
    assert done["images"] == []
    found = read_inventory(need.read_bytes(), str(need))
    assert (found.blobs, found.images) == (((Digest.of(BASE), len(BASE)),), (APP,))
    async with open_filled(tmp_path / "data") as there:
        store = there.store
        assert await store.stat(Digest.of(LAYER)) == len(LAYER)
        await there.put_blob(BASE)
    whole = run(config, "import", str(tmp_path / "b.tar"), "--need", str(need))
    assert whole["images"] == [APP]
    assert not need.exists(), "nobody shall carry it back"


@pytest.mark.parametrize("former", ["2030", "2020"])
async def test_a_moved_tag_is_reported(tmp_path: Path, former: str) -> None:
    """The first import of a bundle moves no tag back, whenever its images were made."""

    async def put(path: Path, year: str) -> bytes:
        async with open_filled(path) as filled:
            config = {"os": "linux", "architecture": "amd64", "created": f"{year}-01-01T00:00:00Z"}
            raw = json.dumps(config).encode()
            manifest = {
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": {"mediaType": "application/vnd.oci.image.config.v1+json"}
                | await filled.put_blob(raw),
                "layers": [],
            }
            await filled.put_document(APP, manifest)
            return await write_bundle(filled, [APP])

    (tmp_path / "b.tar").write_bytes(await put(tmp_path / "here", "2025"))
    config = await make_import_side(tmp_path)
    await put(tmp_path / "data", former)

    (moved,) = run(config, "import", str(tmp_path / "b.tar"))["moved"]

    assert (moved["image"], moved["backwards"]) == (APP, False)


async def test_what_cannot_fit_is_refused_before(tmp_path: Path) -> None:
    """A bundle larger than the store may become is refused at once, with the cure."""
    (tmp_path / "b.tar").write_bytes(await make_bundle(tmp_path / "here", os.urandom(3_000_000)))
    config = await make_import_side(tmp_path, 'limit = "1MB"\n')

    done = run_command("bundle", "import", str(tmp_path / "b.tar"), "--config", str(config))

    assert done.returncode == 1
    assert "storage.limit is only 1 MB; raise storage.limit\n" in done.stderr
    assert not [*(tmp_path / "data" / "blobs").glob("*/*/*")]


async def test_pinned_keys_decide(tmp_path: Path) -> None:
    """With keys, a stranger's signature is refused, and so is a bundle without a signature."""
    plain = await make_bundle(tmp_path / "here", BASE)
    ours, key = sign_bundle(plain, tmp_path / "ours")
    theirs, _ = sign_bundle(plain, tmp_path / "theirs")
    codes = {}
    for required in ("true", "false"):
        folder = tmp_path / required
        folder.mkdir()
        policy = f'[bundles]\nkeys = ["{key}"]\nrequire_signature = {required}\n'
        config = await make_import_side(folder, policy)
        for name, raw in (("theirs", theirs), ("plain", plain), ("ours", ours)):
            (tmp_path / "b.tar").write_bytes(raw)
            done = run_command("bundle", "import", str(tmp_path / "b.tar"), "--config", str(config))
            codes[required, name] = done.returncode
        assert show(config)["signer"] == key.name

    assert codes == {
        ("true", "theirs"): 1,
        ("true", "plain"): 1,
        ("true", "ours"): 0,
        ("false", "theirs"): 1,
        ("false", "plain"): 1,
        ("false", "ours"): 0,
    }
    (tmp_path / "b.tar").write_bytes(ours)
    assert (
        "signed by ours.pub.pem"
        in run_command("bundle", "verify", str(tmp_path / "b.tar"), "--key", str(key)).stdout
    )


async def test_provenance_outlives_the_catalog_and_not_an_upstream(tmp_path: Path) -> None:
    """Which bundle a tag came by stands in the files, until an upstream says what it leads to."""
    (tmp_path / "b.tar").write_bytes(await make_bundle(tmp_path / "here", BASE))
    config = await make_import_side(tmp_path)
    bundle = run(config, "import", str(tmp_path / "b.tar"))["bundle"]
    for path in (tmp_path / "data").glob("catalog.db*"):
        path.unlink()
    async with open_filled(tmp_path / "data") as there:
        await there.content.rebuild.recover(1.0)
    assert show(config)["bundle"] == bundle

    async with open_filled(tmp_path / "data") as there:
        repository = parse_repository("docker.io/library/app")
        record = there.content.manifests.catalog.find_tag(repository, Tag("1"))
        assert record is not None
        await there.content.manifests.confirm(repository, Tag("1"), record.digest, 2.0)

    assert (show(config)["bundle"], show(config)["imported"]) == ("", 0.0)
    files = open_handles(open_folder(tmp_path / "data")).tags
    pointer = await files.read(parse_repository("docker.io/library/app"), Tag("1"))
    assert pointer is not None
    assert pointer.bundle == ""
