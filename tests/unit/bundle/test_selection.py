"""Which images `bundle create` takes, and what it says of those that are not as they were asked."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from registry.cli.main import build_cli
from tests.harness.filled_folder import open_depot

Create = Callable[..., Result]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The configuration of a data folder with an index of which one platform is here."""
    folder = tmp_path_factory.mktemp("depot")

    async def fill() -> None:
        async with open_depot(folder / "data") as depot:
            amd = await depot.put_image("docker.io/library/multi", [b"amd"])
            await depot.put_image("docker.io/library/former", [b"no tag leads here any more"])
            await depot.put_image("docker.io/library/single:1", [b"single"])
        async with open_depot(folder / "elsewhere") as other:
            arm = await other.put_image("docker.io/library/multi", [b"a"], platform="linux/arm64")
        async with open_depot(folder / "data") as depot:
            children = {"linux/amd64": amd, "linux/arm64": arm}
            await depot.put_index("docker.io/library/multi:1", children)

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


def test_nothing_that_was_asked_for_is_no_success(create: Create, tmp_path: Path) -> None:
    """A list without an image, and pulls that nobody made, are told, and no file appears."""
    empty = tmp_path / "empty.txt"
    empty.write_text("# nothing yet\n")
    told = create("-f", str(empty), code=2).stderr
    assert f"no images: none in {empty}; check whether the program that wrote it failed" in told
    told = create("--pulled-since", "7d", "--client", "10.0.0.0/8", code=2).stderr
    assert "none in the images that clients pulled; use a longer --pulled-since" in told
    assert [*tmp_path.iterdir()] == [empty]


def test_one_empty_list_of_several_is_told(create: Create, tmp_path: Path) -> None:
    """The others are written, and who reads the output learns that one gave nothing."""
    (tmp_path / "empty.txt").write_text("\n")
    told = create("single:1", "-f", str(tmp_path / "empty.txt"), "--platform", "amd64").stderr
    assert f"{tmp_path}/empty.txt: it names no image" in told


@pytest.mark.parametrize(
    ("words", "cure"),
    [
        (("--platform", "linux/arm64"), "--platform linux/arm64"),
        (("--platform", "arm64,amd64"), "--platform linux/arm64,linux/amd64"),
        (("--mode", "complete"), "--platform all"),
        (("--platform", "all"), "--platform all"),
    ],
)
def test_what_lacks_is_fetched_by_what_is_said(
    create: Create, words: tuple[str, ...], cure: str
) -> None:
    """The command that is named as the cure asks for the platforms that lack."""
    told = create("multi:1", *words, code=1).stderr
    assert f"entrepot images warm docker.io/library/multi:1 {cure} fetches it" in told


def test_an_image_for_another_platform_is_told(create: Create, tmp_path: Path) -> None:
    """Without an index there is nothing to choose: it is taken, with a remark."""
    words = ("single:1", "--platform", "linux/arm64")
    done = create(*words, "--json")
    remark = "docker.io/library/single:1 is only for linux/amd64: taken as it is"
    assert remark in done.stderr
    assert json.loads(done.stdout)["only_platform"] == {"docker.io/library/single:1": "linux/amd64"}
    assert "only for" not in create("single:1", "--platform", "linux/amd64").stderr
    (tmp_path / "a.tar").unlink()
    assert "only for" not in create("single:1", "--mode", "complete").stderr


def test_globs_mean_tags(create: Create, tmp_path: Path) -> None:
    """What no tag leads to any more comes along where digests are asked for, and only there."""

    def list_names(glob: str) -> list[str]:
        words = (glob, "--platform", "amd64", "--dry-run", "--json")
        return [each["name"] for each in json.loads(create(*words).stdout)["images"]]

    assert list_names("*") == ["docker.io/library/multi:1", "docker.io/library/single:1"]
    (former,) = list_names("former@*")
    assert former.startswith("docker.io/library/former@sha256:")
    assert "a tag for former* is not known here" in create("former*", code=1).stderr
    assert "entrepot: nothing* is not known here" in create("nothing*", code=1).stderr


def test_the_readme_is_of_every_form(create: Create, tmp_path: Path) -> None:
    """It is the same file in a tar, a folder and volumes, and speaks of each."""
    create("single:1", "--platform", "amd64")
    text = (tmp_path / "a.tar").read_bytes()
    assert b"as one tar file, as a folder, or cut" in text
