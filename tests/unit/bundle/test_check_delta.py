"""`bundle check` of a delta: what the former bundles brought counts too."""

import asyncio
import json
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from registry.bundle.write.choice import Choice
from registry.cli.main import build_cli
from registry.oci.digest import Digest
from tests.harness.filled_folder import open_filled
from tests.harness.import_side import sign_bundle
from tests.unit.bundle.test_info import AMD64, APP, BASE, TOOL, fill, pack

ARM64 = ("linux/arm64",)
NEW = "docker.io/library/new:1"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bundles of two months: `may.tar`, the delta `june.tar`, `arm.tar`, `moved.tar`."""
    folder = tmp_path_factory.mktemp("bundles")

    async def make() -> None:
        have = Choice("subset", AMD64, frozenset({Digest.of(BASE)}))
        async with open_filled(folder / "data") as filled:
            await fill(filled)
            await pack(filled, folder / "may.tar", APP, TOOL)
            await pack(filled, folder / "arm.tar", APP, choice=Choice("subset", ARM64))
            await filled.put_image(NEW, [BASE, b"new"])
            await pack(filled, folder / "june.tar", NEW, choice=have)
            await filled.put_image(TOOL, [BASE, b"moved"])
            await pack(filled, folder / "moved.tar", TOOL)

    asyncio.run(make())
    extract = ["tar", "-xf", str(folder / "may.tar"), "-C", str(folder), "bundle.json"]
    subprocess.run(extract, check=True)
    (folder / "bundle.json").rename(folder / "may.json")
    return folder


def check(site: Path, bundle: str, *words: str) -> Result:
    files = [str(site / each) if each.endswith((".tar", "json")) else each for each in words]
    return CliRunner().invoke(build_cli(), ["bundle", "check", str(site / bundle), *files])


@pytest.mark.parametrize("since", ["may.tar", "may.json"])
@pytest.mark.parametrize("images", [[NEW], [APP, NEW], [APP, TOOL, NEW]])
def test_images_of_the_former_bundle_are_not_missing(
    site: Path, images: list[str], since: str
) -> None:
    """The delta repeats no image, and all of them can be pulled after both imports."""
    done = check(site, "june.tar", *images, "--since", since)
    count = "1 image" if len(images) == 1 else f"{len(images)} images"
    assert (done.exit_code, done.stdout) == (0, f"{count}: nothing is missing\n")


def test_without_the_former_bundle_they_are_missing(site: Path) -> None:
    """Only `--since` says that the other side has them, and the message names it."""
    done = check(site, "june.tar", APP, NEW)
    assert done.exit_code == 1
    assert f"{APP}: it is not in the bundle\n" in done.stdout
    assert (
        f"{NEW}: 1 layer, 293 KiB, is omitted: if the air-gapped side has it, name" in done.stdout
    )
    assert done.stdout.endswith("2 of 2 images cannot be pulled completely\n")


@pytest.mark.parametrize(
    ("words", "missing"),
    [
        (["arm.tar", APP, "--platform", "arm64"], ""),
        (["arm.tar", APP, "--platform", "amd64,arm64"], "linux/amd64 is not in the bundle"),
        (["arm.tar", APP, "--platform", "all"], "linux/amd64 is not in the bundle"),
        (["arm.tar", APP, "--platform", "amd64,arm64", "--since", "may.tar"], ""),
        (["may.tar", APP, "--platform", "amd64,arm64", "--since", "arm.tar"], ""),
        (["june.tar", APP, "--platform", "arm64", "--since", "may.tar"], "only linux/amd64"),
        (["june.tar", APP, "--platform", "arm64", "--since", "may.tar", "--since", "arm.tar"], ""),
        (["june.tar", "ghcr.io/team/other:2", "--since", "may.tar"], "it is not in the bundle"),
    ],
)
def test_platforms_of_both_bundles_count(site: Path, words: list[str], missing: str) -> None:
    """The same image may come with one platform in each bundle."""
    done = check(site, *words)
    assert (done.exit_code, missing in done.stdout) == (int(bool(missing)), True)


def test_a_moved_tag_brings_nothing_from_before(site: Path) -> None:
    """If the bundle moves a tag, only the former digest still leads to the former image."""
    for platform, code in (("amd64", 0), ("arm64", 1)):
        done = check(site, "moved.tar", TOOL, "--since", "may.tar", "--platform", platform)
        assert done.exit_code == code
    old = json.loads(
        CliRunner().invoke(build_cli(), ["bundle", "info", str(site / "may.tar"), "--json"]).stdout
    )
    digest = next(each["digest"] for each in old["images"] if each["name"] == TOOL)
    name = f"ghcr.io/team/tool@{digest}"
    assert check(site, "moved.tar", name).exit_code == 1
    assert check(site, "moved.tar", name, "--since", "may.tar").exit_code == 0


def test_a_guess_that_is_not_inside_is_not_counted(site: Path, tmp_path: Path) -> None:
    """The number is that of the images that were found, without texts that only look like one."""
    listed = tmp_path / "custom.yaml"
    listed.write_text(
        "apiVersion: example.com/v1\nkind: Custom\nmetadata: {name: c}\n"
        "spec: {image: 'team/none:1'}\n"
    )
    done = check(site, "may.tar", APP, "-f", str(listed))
    assert done.exit_code == 0
    wanted = "docker.io/team/none:1 may be needed (it looks like an image): it is not in the bundle"
    assert wanted in done.stdout
    assert "1 image: nothing is missing except 1 possible image" in done.stdout


def test_an_unknown_image_fails_at_the_end(site: Path, tmp_path: Path) -> None:
    """What is known is checked; that an image is not known is told, and is exit 1."""
    listed = tmp_path / "images.txt"
    listed.write_text(f"{APP}\nteam/app:$TAG\n")
    done = check(site, "may.tar", "-f", str(listed))
    assert done.exit_code == 1
    assert "1 image: nothing is missing" in done.stdout
    assert "'team/app:$TAG' contains a variable" in done.stderr


def test_a_signature_that_was_not_checked_is_said(site: Path, tmp_path: Path) -> None:
    """Who checks what is inside may think that the signature was checked too."""
    path = tmp_path / "signed.tar"
    path.write_bytes(sign_bundle((site / "may.tar").read_bytes(), tmp_path / "ours")[0])
    done = check(site, str(path), APP)
    assert done.exit_code == 0
    assert (
        "the signature of the bundle was not checked; check it: entrepot bundle verify"
        in done.stderr
    )


def test_the_checked_platforms_are_said(site: Path) -> None:
    """`nothing is missing` is only about them."""
    done = check(site, "may.tar", APP, "--platform", "amd64")
    assert (done.exit_code, done.stdout) == (0, "1 image for linux/amd64: nothing is missing\n")


def test_an_unknown_image_of_a_dockerfile_fails_too(site: Path, tmp_path: Path) -> None:
    """The image without a value is needed, so it is not said that nothing is missing."""
    (tmp_path / "Dockerfile").write_text("ARG V\nFROM nginx:$V\n")
    done = check(site, "may.tar", APP, "-f", str(tmp_path / "Dockerfile"))
    assert done.exit_code == 1
    assert "1 image is not known, so the check is not complete" in done.stderr
    given = check(site, "may.tar", "-f", str(tmp_path / "Dockerfile"), "--build-arg", "V=1")
    assert "is not known" not in given.stderr


def test_a_file_without_an_image_is_named(site: Path, tmp_path: Path) -> None:
    """A file was given, so the error is about what is in it, as for `images warm`."""
    listed = tmp_path / "c.yaml"
    listed.write_text("services: {}\n")
    done = check(site, "may.tar", "-f", str(listed))
    assert done.exit_code == 2
    assert f"none in {listed}" in done.stderr
    assert "name an image" not in done.stderr
