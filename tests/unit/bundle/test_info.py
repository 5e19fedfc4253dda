"""The commands that describe bundles: content, changes, and what a deployment is missing."""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from registry.bundle.format.head_files import write_head
from registry.bundle.format.inventory import write_inventory
from registry.bundle.format.lock import ImageRequest
from registry.bundle.write.choice import Choice
from registry.bundle.write.layout import Contents, list_whole
from registry.bundle.write.writer import write_file
from registry.cli.main import build_cli
from registry.oci.digest import Digest
from tests.harness.bundles import write_volumes
from tests.harness.filled_folder import FilledFolder, open_filled, split

BASE, OWN, ARM = bytes(300_000), b"own" * 1000, b"arm" * 100
APP, TOOL = "docker.io/library/app:1", "ghcr.io/team/tool:2"
AMD64 = ("linux/amd64",)


def run(*arguments: str, stdin: bytes = b"") -> Result:
    return CliRunner().invoke(build_cli(), ["bundle", *arguments], input=stdin)


def run_json(*arguments: str) -> Any:
    return json.loads(run(*arguments, "--json").stdout)


async def fill(filled: FilledFolder) -> None:
    """Store an image of two platforms, and another image that shares a layer with it."""
    amd = await filled.put_image("docker.io/library/app", [BASE, OWN])
    arm = await filled.put_image("docker.io/library/app", [ARM], platform="linux/arm64")
    await filled.put_index(APP, {"linux/amd64": amd, "linux/arm64": arm})
    await filled.put_image(TOOL, [BASE])


async def pack(filled: FilledFolder, path: Path, *names: str, choice: Choice | None = None) -> None:
    """Write a bundle of images, of linux/amd64 without a choice."""
    requests = [ImageRequest(*split(name)) for name in names]
    plan = await filled.content.planner.plan(requests, choice or Choice("subset", AMD64))
    assert plan.failures == {}
    contents = Contents(write_head(plan.lock, plan.manifests), list_whole(plan.lock), filled.store)
    await write_file(contents, path, lambda _: None)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with bundles: `both.tar`, `app.tar`, `complete.tar`, `delta.tar`, volumes."""
    folder = tmp_path_factory.mktemp("bundles")

    async def make() -> None:
        async with open_filled(folder / "data") as filled:
            await fill(filled)
            await pack(filled, folder / "both.tar", APP, TOOL)
            await pack(filled, folder / "app.tar", APP)
            await pack(filled, folder / "complete.tar", APP, choice=Choice("complete", ()))
            (folder / "volumes").mkdir()
            await write_volumes(filled, [APP, TOOL], folder / "volumes", 150_000)
            have = frozenset({Digest.of(BASE)})
            await pack(
                filled, folder / "delta.tar", APP, TOOL, choice=Choice("subset", AMD64, have)
            )

    asyncio.run(make())
    return folder


def test_info_lists_sizes(site: Path) -> None:
    """Each image has its own and shared bytes, and each large blob has the images that need it."""
    facts = run_json("info", str(site / "both.tar"))
    images = {each["name"]: each for each in facts["images"]}

    assert set(images) == {APP, TOOL}
    assert images[APP]["platforms"] == ["linux/amd64"]
    assert images[APP]["missing_platforms"] == ["linux/arm64"]
    assert images[APP]["shared"] == images[TOOL]["shared"] == len(BASE)
    assert images[APP]["unique"] > len(OWN)
    assert facts["size"] == sum(each["unique"] for each in images.values()) + len(BASE)
    assert facts["largest"][0] == {
        "digest": str(Digest.of(BASE)),
        "size": len(BASE),
        "needed_by": [APP, TOOL],
    }


def test_two_names_of_one_image_share_its_bytes(tmp_path: Path) -> None:
    """A bundle without one of the names would not be smaller."""
    path, also = tmp_path / "names.tar", "docker.io/library/app:latest"

    async def make() -> None:
        async with open_filled(tmp_path / "data") as filled:
            amd = await filled.put_image("docker.io/library/app", [OWN])
            for name in (APP, also):
                await filled.put_index(name, {"linux/amd64": amd})
            await pack(filled, path, APP, also)

    asyncio.run(make())
    images = run_json("info", str(path))["images"]
    assert [(each["name"], each["unique"]) for each in images] == [(APP, 0), (also, 0)]
    assert all(each["shared"] == each["size"] > len(OWN) for each in images)


def test_info_reads_a_stream_as_it_reads_a_file(site: Path) -> None:
    """From stdin, which can be read only once, the output is the same."""
    path = site / "both.tar"
    output = run("info", str(path))
    streamed = subprocess.run(
        f"cat {path} | {sys.executable} -m registry bundle info -",
        shell=True,
        check=True,
        capture_output=True,
        text=True,
    )
    assert streamed.stdout == output.stdout


def test_info_lists_programs_that_can_read_it(site: Path) -> None:
    """The output has the line about other programs."""
    output = run("info", str(site / "both.tar")).stdout
    assert "readable by: entrepot, docker load" in output
    assert "not by: ctr images import --all-platforms" in output
    assert "(layers are omitted)" in run("info", str(site / "delta.tar")).stdout


def test_info_lists_omitted_sizes(site: Path) -> None:
    """The sizes of omitted layers are listed, for the bundle and for each image."""
    facts = run_json("info", str(site / "delta.tar"))
    assert facts["omitted"] == {"blobs": 1, "size": len(BASE)}
    assert [each["omitted_bytes"] for each in facts["images"]] == [len(BASE)] * 2


def test_info_refuses_other_files(tmp_path: Path) -> None:
    """A file that is not a bundle is refused with one line and exit code 1."""
    (tmp_path / "x.tar").write_bytes(b"nothing" * 1000)
    done = run("info", str(tmp_path / "x.tar"))
    assert (done.exit_code, done.stdout) == (1, "")
    why = "it is not a bundle (it is no tar file: no file begins at byte 0 (invalid header))"
    cure = "name the file that `entrepot bundle create` wrote"
    assert done.stderr == f"entrepot: {tmp_path / 'x.tar'}: {why}; {cure}\n"
    (tmp_path / "x.tar").write_bytes(b"")
    assert "it is not a bundle (it is empty); name" in run("info", str(tmp_path / "x.tar")).stderr


def test_a_bundle_does_not_differ_from_itself(site: Path) -> None:
    """Two equal bundles give exit code 0, as with diff(1)."""
    done = run("diff", str(site / "app.tar"), str(site / "app.tar"))
    assert (done.exit_code, done.stdout) == (0, "no difference\n")


def test_a_delta_does_not_differ_from_the_whole(site: Path) -> None:
    """The images of a delta need its omitted layers too, so both bundles bring the same images."""
    assert run("diff", str(site / "both.tar"), str(site / "delta.tar")).exit_code == 0


def test_diff_lists_additions_and_removals(site: Path) -> None:
    """Images, platforms and bytes are listed in both directions; a difference gives exit code 1."""
    fewer = run_json("diff", str(site / "both.tar"), str(site / "complete.tar"))
    assert [each["name"] for each in fewer["removed"]] == [TOOL]
    (changed,) = fewer["changed"]
    assert (changed["added_platforms"], changed["removed_platforms"]) == (["linux/arm64"], [])
    assert changed["old_digest"] == changed["new_digest"]
    assert fewer["new"]["size"] > len(ARM)

    output = run("diff", str(site / "app.tar"), str(site / "both.tar"))
    assert output.exit_code == 1
    assert re.search(rf"^\+ {TOOL}  sha256:[0-9a-f]{{12}}$", output.stdout, re.MULTILINE)


def test_diff_reads_a_lock_alone(site: Path, tmp_path: Path) -> None:
    """A `bundle.json` without its bundle can be compared."""
    with_tar = ["tar", "-xf", str(site / "app.tar"), "-C", str(tmp_path), "bundle.json"]
    subprocess.run(with_tar, check=True)
    assert run("diff", str(tmp_path / "bundle.json"), str(site / "app.tar")).exit_code == 0


def test_diff_of_an_unreadable_bundle_exits_with_2(site: Path) -> None:
    """A bundle that cannot be read gives exit code 2."""
    assert run("diff", str(site / "app.tar"), str(site / "none.tar")).exit_code == 2


def write_deploy(folder: Path, *images: str) -> str:
    path = folder / "deploy.yaml"
    containers = "".join(
        f"\n    - {{name: c{n}, image: '{each}'}}" for n, each in enumerate(images)
    )
    path.write_text(
        f"apiVersion: v1\nkind: Pod\nmetadata: {{name: web}}\nspec:\n  containers:{containers}\n"
    )
    return str(path)


@pytest.mark.parametrize(
    ("bundle", "images", "further", "missing"),
    [
        ("both.tar", ["app:1", TOOL], [], []),
        ("app.tar", ["app:1"], ["--platform", "amd64"], []),
        ("app.tar", ["app:1", TOOL], [], [f"{TOOL}: it is not in the bundle"]),
        (
            "app.tar",
            ["app:1"],
            ["--platform", "arm64"],
            ["arm64 is not in the bundle, only linux"],
        ),
        ("complete.tar", ["app:1"], ["--platform", "arm64", "--platform", "amd64"], []),
        ("delta.tar", ["app:1"], [], ["1 layer, 293 KiB, is omitted"]),
        ("app.tar", ["app:2"], [], ["docker.io/library/app:2: it is not in the bundle"]),
    ],
)
def test_check_lists_missing_images(
    site: Path,
    tmp_path: Path,
    bundle: str,
    images: Sequence[str],
    further: list[str],
    missing: list[str],
) -> None:
    """Everything that is missing is listed with the places that ask for it, and exit code 1."""
    deploy = write_deploy(tmp_path, *images)
    done = run("check", str(site / bundle), "-f", deploy, *further)
    assert [each for each in missing if each not in done.stdout] == []
    assert done.exit_code == bool(missing)
    assert bool(missing) == (f"wanted by {deploy}:" in done.stdout)


def test_check_takes_images_by_name(site: Path) -> None:
    """An argument that is not a file is an image, also by the digest of one platform."""
    facts = run_json("info", str(site / "app.tar"))
    whole = facts["images"][0]["digest"]
    assert run("check", str(site / "app.tar"), "app:1", f"app@{whole}").exit_code == 0
    assert run("check", str(site / "app.tar"), f"other@{whole}").exit_code == 1


def test_check_needs_a_bundle_and_images(site: Path) -> None:
    """Without an image, or with a wrong name of the bundle, the exit code is 2."""
    assert run("check", str(site / "app.tar")).exit_code == 2
    assert run("check", "app:1").exit_code == 2
    assert run("check", str(site / "misspelt.tar"), "app:1").exit_code == 2


def test_volumes_have_the_facts_of_the_bundle(site: Path) -> None:
    """All volumes give the facts of the bundle; a single volume also lists the missing ones."""
    volumes = sorted((site / "volumes").iterdir())
    facts = run_json("info", str(site / "volumes"))
    alone = run_json("info", str(volumes[-1]))
    assert len(volumes) > 2
    assert facts["missing_volumes"] == []
    assert facts["images"][0]["size_exact"]
    assert alone["bundle"] == facts["bundle"]
    assert alone["missing_volumes"] == list(range(1, len(volumes)))
    assert run("check", str(site / "volumes"), "app:1").exit_code == 0


def test_check_needs_all_volumes(site: Path) -> None:
    """With a missing volume the check fails, since a part of the bundle was not checked."""
    volumes = sorted((site / "volumes").iterdir())
    done = run("check", *map(str, volumes[1:]), "app:1")
    assert done.exit_code == 1
    assert f"volume 1 of {len(volumes)} is missing; name all volumes" in done.stderr


def test_layers_of_the_other_side_are_not_missing(site: Path, tmp_path: Path) -> None:
    """Layers count as present by an inventory or by earlier bundles, and only those in them."""
    delta, images = str(site / "delta.tar"), ("app:1", TOOL)
    inventory, other = tmp_path / "inventory.json", tmp_path / "other.json"
    inventory.write_bytes(write_inventory([(Digest.of(BASE), len(BASE))]))
    other.write_bytes(write_inventory([(Digest.of(b"else"), 4)]))
    assert run("check", delta, *images).exit_code == 1
    done = run("check", delta, *images, "--have", str(inventory))
    assert (done.exit_code, done.stdout) == (0, "2 images: nothing is missing\n")
    assert run("check", delta, *images, "--since", str(site / "both.tar")).exit_code == 0
    both = ("--have", str(other), "--since", str(site / "both.tar"))
    assert run("check", delta, *images, *both).exit_code == 0
    assert run("check", delta, *images, "--have", str(other)).exit_code == 1
    missing = run("check", delta, *images, "--have", str(tmp_path / "none.json"))
    why = "cannot be read (No such file or directory); name an inventory.json or a need.json"
    assert (missing.exit_code, missing.stderr) == (2, f"entrepot: {tmp_path}/none.json: {why}\n")


@pytest.mark.parametrize("command", ["info", "verify", "import"])
def test_paths_that_cannot_be_opened_are_explained(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """A path that does not exist, and two bundles at once, give a message that says what to do."""
    monkeypatch.setenv("ENTREPOT_STORAGE__PATH", str(tmp_path / "data"))
    done = run(command, str(site / "none"))
    why = "cannot be read (No such file or directory); name a bundle's file, folder or volumes"
    assert (done.exit_code, done.stderr.splitlines()[-1]) == (2, f"entrepot: {site}/none: {why}")
    done = run(command, str(site / "volumes"), str(site / "app.tar"))
    assert done.exit_code == 1
    assert "volumes: a folder cannot be given together with others; give one" in done.stderr
