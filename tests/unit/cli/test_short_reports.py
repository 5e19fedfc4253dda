"""Lines that say no more than needed: about one image, a little space, and a wrong name."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from registry.cli.images.warm_report import finish
from registry.cli.main import build_cli
from registry.reports.warm import WarmedImage, WarmResult
from tests.harness.filled_folder import open_filled

APP = "docker.io/library/app:1"


def make_result(*places: Sequence[str]) -> WarmResult:
    """Return the result of images that failed, which these places name."""
    images = [WarmedImage(APP, tuple(each), guess=False, failures=["no"]) for each in places]
    return WarmResult(images, [], (), (), 0, dry_run=False)


@pytest.mark.parametrize(
    ("places", "lines"),
    [
        ([["the command line"]], []),
        ([["list.txt:1"]], ["  wanted by list.txt:1"]),
        (
            [["the command line", "list.txt:1"]],
            ["  wanted by the command line", "  wanted by list.txt:1"],
        ),
    ],
)
def test_an_image_named_by_hand_fails_with_one_line(
    places: list[list[str]], lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Who typed one name knows who wants the image, and how many failed."""
    finish(make_result(*places), as_json=False, quiet=False)
    assert capsys.readouterr().err.splitlines() == [f"entrepot: {APP} failed: no", *lines]


def test_several_failed_images_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    """The last line sums them up."""
    finish(make_result(["the command line"], ["the command line"]), as_json=False, quiet=False)
    assert capsys.readouterr().err.endswith("entrepot: 2 of 2 images failed\n")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with one small image."""
    folder = tmp_path_factory.mktemp("small")

    async def fill() -> None:
        async with open_filled(folder) as filled:
            await filled.put_image(APP, [b"layer"])

    asyncio.run(fill())
    return folder


def run(data: Path, *words: str) -> Result:
    return CliRunner().invoke(build_cli(), words, env={"ENTREPOT_STORAGE__PATH": str(data)})


def test_a_little_is_not_nothing(data: Path) -> None:
    """The share of the limit is not zero, and what is free is free on the disk."""
    used, *_ = lines = run(data, "cache", "stats").stdout.splitlines()
    assert used.endswith(" B of 50 GiB (under 0.1%)")
    assert [line for line in lines if line.startswith("free on disk   ")]


def test_a_wrong_name_is_shown_as_it_was_typed(data: Path) -> None:
    """Nobody typed `library/`."""
    for name in ("UPPER", "UPPER:1", "ghcr.io/UPPER@sha256:1"):
        done = run(data, "images", "show", name)
        typed = name.partition("@")[0].removesuffix(":1")
        assert (done.exit_code, done.stdout) == (2, "")
        assert f"invalid repository name {typed!r}: write" in done.stderr


def test_help_names_the_settings_file_by_one_word() -> None:
    """A configuration, a settings file and 'a usual file' looked like three things."""
    text = " ".join(run(Path(), "serve", "--help").stdout.split())
    default = "Default: the one that ENTREPOT_CONFIG names, else the one that entrepot config check"
    assert f"The settings file (TOML). {default} shows." in text


def test_a_pinned_platform_that_is_not_stored_is_kept_when_it_comes(tmp_path: Path) -> None:
    """The column PINNED says which platforms, and `show` that a pin brings nothing."""

    async def fill() -> None:
        async with open_filled(tmp_path / "other") as other, open_filled(tmp_path / "data") as here:
            arm = await other.put_image("docker.io/team/two", [b"arm"], platform="linux/arm64")
            amd = await here.put_image("docker.io/team/two", [b"amd"])
            children = {"linux/amd64": amd, "linux/arm64": arm}
            await here.put_index("docker.io/team/two:1", children)

    asyncio.run(fill())
    run(tmp_path / "data", "images", "pin", "team/two:1", "--platform", "amd64")
    assert run(tmp_path / "data", "images", "ls").stdout.endswith("  linux/amd64\n")
    run(tmp_path / "data", "images", "pin", "team/two:1")
    assert run(tmp_path / "data", "images", "ls").stdout.endswith("  yes\n")
    shown = run(tmp_path / "data", "images", "show", "team/two:1").stdout
    assert "  linux/amd64: complete, pinned\n" in shown
    assert "  linux/arm64: not stored (kept when it comes)\n" in shown
