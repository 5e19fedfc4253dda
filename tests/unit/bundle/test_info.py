"""What people are told of bundles: what is inside, what has changed, what a deployment lacks."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from registry.bundle.format.head_files import write_head
from registry.bundle.format.inventory import write_inventory
from registry.bundle.write.layout import Contents, list_whole
from registry.bundle.write.plan import Choice, Want
from registry.bundle.write.writer import write_file
from registry.cli.main import build_cli
from registry.oci.digest import Digest
from registry.store.data_folder import open_folder
from registry.wiring.content import open_handles
from tests.harness.bundles import write_volumes
from tests.harness.filled_folder import Depot, open_depot, split

BASE, OWN, ARM = bytes(300_000), b"own" * 1000, b"arm" * 100
APP, TOOL = "docker.io/library/app:1", "ghcr.io/team/tool:2"
AMD64 = ("linux/amd64",)


def run(*arguments: str, stdin: bytes = b"") -> Result:
    return CliRunner().invoke(build_cli(), ["bundle", *arguments], input=stdin)


def run_json(*arguments: str) -> Any:
    return json.loads(run(*arguments, "--json").stdout)


async def fill(depot: Depot) -> None:
    """Put an image of two platforms, and one that shares a layer with it, into a data folder."""
    amd = await depot.put_image("docker.io/library/app", [BASE, OWN])
    arm = await depot.put_image("docker.io/library/app", [ARM], platform="linux/arm64")
    await depot.put_index(APP, {"linux/amd64": amd, "linux/arm64": arm})
    await depot.put_image(TOOL, [BASE])


async def pack(depot: Depot, path: Path, *names: str, choice: Choice | None = None) -> None:
    """Write a bundle of images, of linux/amd64 without a choice."""
    wants = [Want(*split(name)) for name in names]
    plan = await depot.content.planner.plan(wants, choice or Choice("subset", AMD64))
    assert plan.failures == {}
    store = open_handles(open_folder(depot.path)).store
    contents = Contents(write_head(plan.lock, plan.manifests), list_whole(plan.lock), store)
    await write_file(contents, path, lambda _: None)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with bundles: `both.tar`, `app.tar`, `complete.tar`, `delta.tar`, volumes."""
    folder = tmp_path_factory.mktemp("bundles")

    async def make() -> None:
        async with open_depot(folder / "data") as depot:
            await fill(depot)
            await pack(depot, folder / "both.tar", APP, TOOL)
            await pack(depot, folder / "app.tar", APP)
            await pack(depot, folder / "complete.tar", APP, choice=Choice("complete", ()))
            (folder / "volumes").mkdir()
            await write_volumes(depot, [APP, TOOL], folder / "volumes", 150_000)
            have = frozenset({Digest.of(BASE)})
            await pack(depot, folder / "delta.tar", APP, TOOL, choice=Choice("subset", AMD64, have))

    asyncio.run(make())
    return folder


def test_info_says_what_takes_the_room(site: Path) -> None:
    """Bytes of each image, its own and shared, and who needs the largest blobs."""
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


def test_info_reads_a_stream_as_it_reads_a_file(site: Path) -> None:
    """From stdin, which cannot go back, everything is told as well."""
    path = site / "both.tar"
    told = run("info", str(path))
    streamed = subprocess.run(
        f"cat {path} | {sys.executable} -m registry bundle info -",
        shell=True,
        check=True,
        capture_output=True,
        text=True,
    )
    assert streamed.stdout == told.stdout


def test_info_says_who_can_read_it(site: Path) -> None:
    """The lines about other programs are part of what is told."""
    told = run("info", str(site / "both.tar")).stdout
    assert "readable by: entrepot, docker load" in told
    assert "not by: ctr images import --all-platforms" in told
    assert "(layers are left out)" in run("info", str(site / "delta.tar")).stdout


def test_info_says_what_a_delta_leaves_out(site: Path) -> None:
    """What the other side is said to have is counted, for the whole and for each image."""
    facts = run_json("info", str(site / "delta.tar"))
    assert facts["omitted"] == {"blobs": 1, "size": len(BASE)}
    assert [each["omitted_bytes"] for each in facts["images"]] == [len(BASE)] * 2


def test_info_names_what_is_no_bundle(tmp_path: Path) -> None:
    """A file of something else is refused in one line, with 1."""
    (tmp_path / "x.tar").write_bytes(b"nothing" * 1000)
    done = run("info", str(tmp_path / "x.tar"))
    assert (done.exit_code, done.stdout) == (1, "")
    assert f"{tmp_path / 'x.tar'}: byte 0 begins no file" in done.stderr


def test_a_bundle_does_not_differ_from_itself(site: Path) -> None:
    """As diff has it: the same is 0."""
    done = run("diff", str(site / "app.tar"), str(site / "app.tar"))
    assert (done.exit_code, done.stdout) == (0, "no difference\n")


def test_a_delta_does_not_differ_from_the_whole(site: Path) -> None:
    """What is left out is needed all the same, so the other side has the same in the end."""
    assert run("diff", str(site / "both.tar"), str(site / "delta.tar")).exit_code == 0


def test_diff_tells_what_came_and_what_went(site: Path) -> None:
    """Images, platforms and bytes, in both directions; anything at all is 1."""
    fewer = run_json("diff", str(site / "both.tar"), str(site / "complete.tar"))
    assert [each["name"] for each in fewer["removed"]] == [TOOL]
    (changed,) = fewer["changed"]
    assert (changed["added_platforms"], changed["removed_platforms"]) == (["linux/arm64"], [])
    assert changed["old_digest"] == changed["new_digest"]
    assert fewer["new"]["size"] > len(ARM)

    told = run("diff", str(site / "app.tar"), str(site / "both.tar"))
    assert told.exit_code == 1
    assert f"+ {TOOL}  sha256:" in told.stdout


def test_diff_reads_a_lock_alone(site: Path, tmp_path: Path) -> None:
    """The `bundle.json` that somebody kept is enough to compare with."""
    with_tar = ["tar", "-xf", str(site / "app.tar"), "-C", str(tmp_path), "bundle.json"]
    subprocess.run(with_tar, check=True)
    assert run("diff", str(tmp_path / "bundle.json"), str(site / "app.tar")).exit_code == 0


def test_diff_of_what_cannot_be_read_is_trouble(site: Path) -> None:
    """2 is neither the same nor different."""
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
    ("bundle", "images", "further", "lacks"),
    [
        ("both.tar", ["app:1", TOOL], [], []),
        ("app.tar", ["app:1"], ["--platform", "amd64"], []),
        ("app.tar", ["app:1", TOOL], [], [f"{TOOL}: it is not inside"]),
        ("app.tar", ["app:1"], ["--platform", "arm64"], ["linux/arm64 is not inside, only linux"]),
        ("complete.tar", ["app:1"], ["--platform", "arm64", "--platform", "amd64"], []),
        ("delta.tar", ["app:1"], [], ["1 layer, 293 KiB, is left out"]),
        ("app.tar", ["app:2"], [], ["docker.io/library/app:2: it is not inside"]),
    ],
)
def test_check_finds_what_a_deployment_lacks(
    site: Path,
    tmp_path: Path,
    bundle: str,
    images: Sequence[str],
    further: list[str],
    lacks: list[str],
) -> None:
    """Nothing that lacks is passed over, and it is said where that is wanted; then it is 1."""
    deploy = write_deploy(tmp_path, *images)
    done = run("check", str(site / bundle), "-f", deploy, *further)
    assert [each for each in lacks if each not in done.stdout] == []
    assert done.exit_code == bool(lacks)
    assert bool(lacks) == (f"wanted by {deploy}:" in done.stdout)


def test_check_takes_images_by_name(site: Path) -> None:
    """What is not a file is an image, also by the digest of one of its platforms."""
    facts = run_json("info", str(site / "app.tar"))
    whole = facts["images"][0]["digest"]
    assert run("check", str(site / "app.tar"), "app:1", f"app@{whole}").exit_code == 0
    assert run("check", str(site / "app.tar"), f"other@{whole}").exit_code == 1


def test_check_wants_something_to_check(site: Path) -> None:
    """Without images, or with a bundle that is misspelt, nothing is well: 2, or 1."""
    assert run("check", str(site / "app.tar")).exit_code == 2
    assert run("check", "app:1").exit_code == 2
    assert run("check", str(site / "misspelt.tar"), "app:1").exit_code == 1


def test_volumes_are_told_like_the_whole(site: Path) -> None:
    """All volumes of a bundle are that bundle; of one alone, which others there are is told."""
    volumes = sorted((site / "volumes").iterdir())
    facts = run_json("info", str(site / "volumes"))
    alone = run_json("info", str(volumes[-1]))
    assert len(volumes) > 2
    assert facts["missing_volumes"] == []
    assert facts["images"][0]["size_exact"]
    assert alone["bundle"] == facts["bundle"]
    assert alone["missing_volumes"] == list(range(1, len(volumes)))
    assert run("check", str(site / "volumes"), "app:1").exit_code == 0


def test_check_wants_all_volumes(site: Path) -> None:
    """Nobody is told that all is well while a part of it was not looked at."""
    volumes = sorted((site / "volumes").iterdir())
    done = run("check", *map(str, volumes[1:]), "app:1")
    assert done.exit_code == 1
    assert f"not given: volume 1 of {len(volumes)}; name all of them" in done.stderr


def test_what_the_other_side_has_does_not_lack(site: Path, tmp_path: Path) -> None:
    """By its inventory, or by the bundles it was given before; and only that."""
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
    assert missing.stderr == f"entrepot: {tmp_path}/none.json: No such file or directory\n"


@pytest.mark.parametrize("command", ["info", "verify", "import"])
def test_what_cannot_be_opened_is_said_in_words(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """Something that is not there, or two bundles at once: the cure instead of a number."""
    monkeypatch.setenv("ENTREPOT_STORAGE__PATH", str(tmp_path / "data"))
    done = run(command, str(site / "none"))
    why = "is not there; name a bundle's file, folder or volumes"
    assert (done.exit_code, done.stderr.splitlines()[-1]) == (1, f"entrepot: {site}/none: {why}")
    done = run(command, str(site / "volumes"), str(site / "app.tar"))
    assert done.exit_code == 1
    assert "volumes: a folder cannot be given together with others; give one" in done.stderr
