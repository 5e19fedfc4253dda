"""Which images `bundle create` includes, and its messages about those that it cannot include."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from registry.cli.main import build_cli
from tests.harness.filled_folder import open_filled

Create = Callable[..., Result]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The configuration of a data folder with an index, one platform of which is stored."""
    folder = tmp_path_factory.mktemp("filled")

    async def fill() -> None:
        async with open_filled(folder / "data") as filled:
            amd = await filled.put_image("docker.io/library/multi", [b"amd"])
            await filled.put_image("docker.io/library/former", [b"no tag leads here any more"])
            await filled.put_image("docker.io/library/single:1", [b"single"])
        async with open_filled(folder / "elsewhere") as other:
            arm = await other.put_image("docker.io/library/multi", [b"a"], platform="linux/arm64")
        async with open_filled(folder / "data") as filled:
            children = {"linux/amd64": amd, "linux/arm64": arm}
            await filled.put_index("docker.io/library/multi:1", children)

    asyncio.run(fill())
    path = folder / "entrepot.toml"
    path.write_text(f"storage.path = {json.dumps(str(folder / 'data'))}\n")
    return path


@pytest.fixture
def create(config: Path, tmp_path: Path) -> Create:
    """Run `bundle create` to `a.tar`, expecting an exit code."""

    def run(*words: str, code: int = 0) -> Result:
        words = ("bundle", "create", "-o", str(tmp_path / "a.tar"), *words, "--config", str(config))
        done = CliRunner().invoke(build_cli(), words)
        assert done.exit_code == code, done.output
        return done

    return run


def test_without_images_it_fails(create: Create, tmp_path: Path) -> None:
    """An empty list, and pulls that do not exist, are errors, and no file is written."""
    empty = tmp_path / "empty.txt"
    empty.write_text("# nothing yet\n")
    stderr = create("-f", str(empty), code=2).stderr
    assert f"no images: none in {empty}; check whether the program that wrote it failed" in stderr
    stderr = create("--pulled-since", "7d", "--client", "10.0.0.0/8", code=1).stderr
    why = "no client has pulled an image from this mirror in the last 7d that matches --client"
    assert f"no bundle was written, because {why} 10.0.0.0/8; name images" in stderr
    assert [*tmp_path.iterdir()] == [empty]


def test_a_file_without_its_option_is_noticed(
    create: Create, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list that was named without `-f` is taken for an image; the output says how to read it."""
    monkeypatch.chdir(tmp_path)
    Path("images.txt").write_text("single:1\n")
    stderr = create("images.txt", code=1).stderr
    assert (
        "images.txt is taken for the name of an image; to read the file, write -f images" in stderr
    )


def test_one_empty_list_of_several_is_reported(create: Create, tmp_path: Path) -> None:
    """The images of the other lists are written, and the output names the empty list."""
    (tmp_path / "empty.txt").write_text("\n")
    output = create("single:1", "-f", str(tmp_path / "empty.txt"), "--platform", "amd64").stderr
    assert f"{tmp_path}/empty.txt: it names no image" in output


@pytest.mark.parametrize(
    ("words", "cure"),
    [
        (("--platform", "linux/arm64"), "--platform linux/arm64"),
        (("--platform", "arm64,amd64"), "--platform linux/arm64,linux/amd64"),
        (("--mode", "complete"), "--platform all"),
        (("--platform", "all"), "--platform all"),
    ],
)
def test_the_command_in_the_message_downloads_what_is_missing(
    create: Create, words: tuple[str, ...], cure: str
) -> None:
    """The command in the message downloads the missing platforms."""
    output = create("multi:1", *words, code=1).stderr
    assert "docker.io/library/multi:1 is not stored completely: the manifest of linux/" in output
    assert f"run first: entrepot images warm docker.io/library/multi:1 {cure}\n" in output


def test_an_image_for_another_platform_is_reported(create: Create, tmp_path: Path) -> None:
    """An image without an index is included for its platform, with a note."""
    words = ("single:1", "--platform", "linux/arm64")
    done = create(*words, "--json")
    remark = "docker.io/library/single:1 is only for linux/amd64: it is used anyway"
    assert remark in done.stderr
    assert json.loads(done.stdout)["only_platform"] == {"docker.io/library/single:1": "linux/amd64"}
    assert "only for" not in create("single:1", "--platform", "linux/amd64").stderr
    (tmp_path / "a.tar").unlink()
    assert "only for" not in create("single:1", "--mode", "complete").stderr


def test_globs_mean_tags(create: Create, tmp_path: Path) -> None:
    """Images without a tag are included only by a glob for digests."""

    def list_names(glob: str) -> list[str]:
        words = (glob, "--platform", "amd64", "--dry-run", "--json")
        return [each["name"] for each in json.loads(create(*words).stdout)["images"]]

    assert list_names("*") == ["docker.io/library/multi:1", "docker.io/library/single:1"]
    (former,) = list_names("former@*")
    assert former.startswith("docker.io/library/former@sha256:")
    assert "no stored tag matches 'former*'; for stored" in create("former*", code=1).stderr
    assert "no stored image matches 'nothing*'; list" in create("nothing*", code=1).stderr


def test_the_readme_is_the_same_in_every_form(create: Create, tmp_path: Path) -> None:
    """The README is the same in a tar, a folder and volumes, and describes each form."""
    create("single:1", "--platform", "amd64")
    text = (tmp_path / "a.tar").read_bytes()
    assert b"as one tar file, as a folder, or cut" in text
