"""`images ls --offline` and `--inventory` on a data folder."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from registry.bundle.format.inventory import read_inventory
from registry.cli.main import build_cli
from registry.oci.digest import Digest
from tests.harness.filled_folder import NOW, open_filled, split

APP = "docker.io/library/app:1"
TORN = "docker.io/library/torn:1"
ABSENT = Digest.of(b"absent")


@pytest.fixture
async def data(tmp_path: Path) -> Path:
    """A data folder with one complete image, and one image that is missing a layer."""
    async with open_filled(tmp_path) as filled:
        amd = await filled.put_image("docker.io/library/app", [b"layer"])
        arm = await filled.put_image("docker.io/library/app", [b"arm"], platform="linux/arm64")
        await filled.put_index(APP, {"linux/amd64": amd, "linux/arm64": arm})
        layer = {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": str(ABSENT)}
        whole = await filled.put_image("docker.io/library/torn", [])
        await filled.put_document(TORN, json.loads(whole.raw) | {"layers": [layer | {"size": 7}]})
    return tmp_path


def ls(data: Path, *arguments: str, **more: str) -> Result:
    settings = {"ENTREPOT_STORAGE__PATH": str(data)} | more
    return CliRunner().invoke(build_cli(), ["images", "ls", *arguments], env=settings)


def find(done: Result, name: str) -> Any:
    return next(each for each in json.loads(done.stdout) if each["name"] == name)


def test_what_is_missing_is_listed_with_the_command_that_helps(data: Path) -> None:
    """The list has digest, size and the command that downloads the blob; the exit code is 1."""
    done = ls(data, "--offline")
    assert done.exit_code == 1
    assert f"{APP}\n  linux/amd64: complete\n  linux/arm64: complete\n" in done.stdout
    assert f"{TORN}\n  linux/amd64: missing 1 blob, 7 B\n    {ABSENT}  7 B\n" in done.stdout
    assert f"download it with: entrepot images warm {TORN} --platform linux/amd64\n" in done.stdout

    facts = ls(data, "--offline", "--json")
    assert facts.exit_code == 1
    assert find(facts, APP)["ready"]
    (missing,) = find(facts, TORN)["missing"]
    assert missing["blobs"] == [{"digest": str(ABSENT), "size": 7}]


def test_what_is_whole_is_well(data: Path) -> None:
    """If nothing is missing of the named images and platforms, the exit code is 0."""
    assert ls(data, "app", "--offline", "--platform", "amd64").exit_code == 0
    missing = ls(data, "app", "--offline", "--platform", "s390x")
    why = "linux/s390x: this image has no such platform; use another image, or leave this platform"
    assert (missing.exit_code, why in missing.stdout) == (1, True)


@pytest.mark.parametrize("name", ["nosuch:1", "no/*", f"app@sha256:{'0' * 64}"])
def test_what_is_not_stored_at_all_is_no_success(data: Path, name: str) -> None:
    """A name that matches no stored image is named on stderr: exit code 1, beside those that do."""
    done = ls(data, "app", name, "--offline")
    why = f"no stored image matches '{name}'; list what is stored: entrepot images ls"
    assert (done.exit_code, done.stderr) == (1, f"entrepot: {why}\n")
    assert f"{APP}\n" in done.stdout


def test_an_inventory_is_of_every_blob(data: Path) -> None:
    """An inventory lists exactly the stored blobs, and two runs print the same."""
    done = ls(data, "--inventory")
    assert done.exit_code == 0
    found = read_inventory(done.stdout_bytes, "inventory.json")
    stored = {path.name for path in (data / "blobs").glob("sha256/*/*")}
    assert {digest.encoded for digest, _ in found.blobs} == stored
    assert done.stdout_bytes == ls(data, "--inventory").stdout_bytes
    assert ls(data, "app", "--inventory").exit_code == 2


def test_where_nobody_can_be_asked_the_next_bundle_is_the_cure(data: Path) -> None:
    """With offline = true the message names the next bundle, and no download."""
    done = ls(data, "--offline", ENTREPOT_OFFLINE="true")
    assert done.exit_code == 1
    assert "images warm" not in done.stdout
    assert "no upstream can give it: import a bundle that contains it" in done.stdout
    (missing,) = find(ls(data, "--offline", "--json", ENTREPOT_OFFLINE="true"), TORN)["missing"]
    assert missing["fetch_command"] is None


def test_what_a_bundle_brought_is_cured_by_one(data: Path) -> None:
    """If a repository was imported, the message names the next bundle."""

    async def bring() -> None:
        async with open_filled(data) as filled:
            repository, tag = split("docker.io/library/torn:2")
            whole = await filled.put_image("docker.io/library/torn", [b"whole"])
            bundle = "sha256:" + "0" * 64
            await filled.content.manifests.put_names(repository, whole, tag, NOW, bundle=bundle)

    asyncio.run(bring())
    done = ls(data, "torn", "--offline")
    assert (done.exit_code, f"{TORN}\n" in done.stdout) == (1, True)
    assert "images warm" not in done.stdout
