"""What people type out of habit: `-h`, `version`, `--quiet`, names that match nothing."""

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from registry import __version__
from registry.cli.main import build_cli
from tests.harness.filled_folder import open_filled
from tests.unit.cli.test_help import COMMANDS

APP = "docker.io/library/app:1"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with one image, which has two tags."""
    folder = tmp_path_factory.mktemp("filled")

    async def fill() -> None:
        async with open_filled(folder) as filled:
            image = await filled.put_image(APP, [b"layer"])
            await filled.put_document("docker.io/library/app:latest", json.loads(image.raw))

    asyncio.run(fill())
    return folder


def run(data: Path, *words: str) -> Result:
    return CliRunner().invoke(build_cli(), words, env={"ENTREPOT_STORAGE__PATH": str(data)})


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_h_is_help(words: tuple[str, ...]) -> None:
    """`-h` prints what `--help` prints, for every command."""
    short = CliRunner().invoke(build_cli(), [*words, "-h"])
    assert (short.exit_code, short.stderr) == (0, "")
    assert short.stdout == CliRunner().invoke(build_cli(), [*words, "--help"]).stdout


@pytest.mark.parametrize("words", [["version"], ["--version"]])
def test_the_version_is_printed(words: list[str]) -> None:
    """The command and the option print the same line."""
    assert CliRunner().invoke(build_cli(), words).stdout == f"entrepot {__version__}\n"


def test_the_version_is_json_on_demand() -> None:
    """`version --json` is an object, as with other commands."""
    done = CliRunner().invoke(build_cli(), ["version", "--json"])
    assert json.loads(done.stdout) == {"version": __version__}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_commands(shell: str) -> None:
    """A shell that asks for the completions of `images re` gets `refresh`."""
    asked = {
        "_ENTREPOT_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": "entrepot images re",
        "COMP_CWORD": "2",
        "_TYPER_COMPLETE_ARGS": "entrepot images re",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    done = CliRunner().invoke(build_cli(), [], prog_name="entrepot", env=asked)
    assert "refresh" in done.stdout


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["nosuch"], "no stored image matches 'nosuch'"),
        (["ghcr.io/*"], "no stored image matches 'ghcr.io/*'"),
        (["app:2"], "no stored image matches 'app:2'"),
        (["app", "nosuch"], "no stored image matches 'nosuch'"),
    ],
)
@pytest.mark.parametrize("further", [[], ["--json"], ["--quiet"]])
def test_a_name_that_matches_nothing_is_no_success(
    data: Path, names: list[str], further: list[str], message: str
) -> None:
    """`images ls` exits with 1 and a sentence, and lists the images of the other names."""
    done = run(data, "images", "ls", *names, *further)
    advice = "list what is stored: entrepot images ls"
    assert (done.exit_code, done.stderr) == (1, f"entrepot: {message}; {advice}\n")
    assert (APP in done.stdout) == ("app" in names)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("bundle create app:1 -o x.tar --mode half", "'half' is not subset, complete or flat"),
        ("images warm -f x --kind txt", "'txt' is not list, compose, kubernetes or dockerfile"),
        ("images warm app --platform amd64/", "write amd64, linux/amd64 or linux/arm/v7"),
        ("images show UPPER:1", "write lower-case letters and digits; one of . _ __ - or / may"),
        ("images show app@latest", "; a tag is written with a colon, as in app:latest"),
    ],
)
def test_a_wrong_word_is_answered_with_the_right_ones(data: Path, words: str, message: str) -> None:
    """The message says what can be written, and has no text of a library."""
    done = run(data, *words.split())
    assert done.exit_code == 2
    assert message in done.stderr
    assert "Value error" not in done.stderr


def test_what_changes_nothing_does_not_say_that_it_freed_bytes(data: Path) -> None:
    """A refused removal says only why; an eviction says that there is nothing to delete."""
    run(data, "images", "pin", "app:1")
    refused = run(data, "images", "rm", "app:1")
    run(data, "images", "unpin", "app:1")
    evicted = run(data, "cache", "evict", "--to", "1GiB", "--dry-run")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "app:1 is pinned; unpin it first: entrepot images unpin" in refused.stderr
    assert (evicted.exit_code, evicted.stderr) == (0, "")
    assert evicted.stdout.startswith("nothing to delete: ")
    assert evicted.stdout.endswith(" are used, 1 GiB are allowed\n")


def test_an_image_without_content_is_not_counted_as_stored(tmp_path: Path) -> None:
    """After an eviction the name is still listed: as not stored, and stats say so too."""

    async def fill() -> None:
        async with open_filled(tmp_path) as filled:
            await filled.put_image(APP, [b"layer"])

    asyncio.run(fill())
    before = run(tmp_path, "cache", "stats").stdout
    planned = run(tmp_path, "cache", "evict", "--to", "0", "--dry-run").stdout
    evicted = run(tmp_path, "cache", "evict", "--to", "0").stdout
    after = run(tmp_path, "cache", "stats").stdout
    assert "images         1\n" in before
    assert "audit          never\n" in before
    assert "images         1 (1 of them not stored)\n" in after
    assert planned.startswith("would delete 3 blobs, ")
    assert planned.endswith("1 of 1 image would then not be stored\n")
    assert evicted == planned.replace("would delete", "deleted").replace(
        "would then not be stored", "are not stored now"
    )
    assert "  not stored  " in run(tmp_path, "images", "ls").stdout


@pytest.mark.parametrize("further", [[], ["--offline"], ["--quiet"], ["--json"]])
def test_an_empty_store_is_said_to_be_empty(tmp_path: Path, further: list[str]) -> None:
    """It is no failure, and no table without rows; the sentence says how images get there."""

    async def make() -> None:
        async with open_filled(tmp_path):
            pass

    asyncio.run(make())
    done = run(tmp_path, "images", "ls", *further)
    assert (done.exit_code, done.stdout) == (0, "[]\n" if "--json" in further else "")
    assert "no image is stored here yet; pull one through the mirror, or run" in done.stderr


def test_quiet_lists_only_names(data: Path) -> None:
    """`images ls -q` prints names for other programs, one in each line."""
    done = run(data, "images", "ls", "-q")
    assert done.stdout == f"{APP}\ndocker.io/library/app:latest\n"


@pytest.mark.parametrize(
    ("words", "stderr"),
    [
        (["images", "pin", "app:1"], ""),
        (["images", "unpin", "app:1"], ""),
        (["images", "rm", "app:1", "--dry-run"], ""),
        (["images", "rm", "nosuch:1"], "docker.io/library/nosuch:1 is not stored here"),
        (["cache", "audit"], ""),
        (["cache", "evict"], ""),
        (["bundle", "create", "app:1", "-o", "-", "--dry-run", "--platform", "amd64"], ""),
    ],
)
def test_quiet_prints_only_what_is_wrong(data: Path, words: list[str], stderr: str) -> None:
    """With `--quiet` a command that succeeds prints nothing."""
    done = run(data, *words, "--quiet")
    assert done.stdout == ""
    assert (done.exit_code == 0) == (not stderr)
    assert stderr in done.stderr
    assert bool(done.stderr) == bool(stderr)


def test_a_tag_of_the_same_content_is_not_called_pinned(data: Path) -> None:
    """Only the tag that was pinned is pinned; for the other one, the pin that keeps it is named."""
    run(data, "images", "pin", "app:1")
    lines = {line.split()[0]: line for line in run(data, "images", "ls").stdout.splitlines()}
    found = {each["name"]: each for each in json.loads(run(data, "images", "ls", "--json").stdout)}
    shown = run(data, "images", "show", "app:latest").stdout
    (digest,) = {each["digest"] for each in found.values()}
    removed = run(data, "images", "rm", "app:latest", "--dry-run")
    refused = run(data, "images", "rm", f"app@{digest}", "--dry-run")
    run(data, "images", "unpin", "app:1")
    assert lines[APP].endswith("  yes")
    assert lines["docker.io/library/app:latest"].endswith("kept by 1")
    assert [found[name]["pinned"] for name in sorted(found)] == [True, False]
    assert f"pinned     no, but its content is kept by the pins of {APP}\n" in shown
    assert removed.exit_code == 0
    why = f"docker.io/library/app@{digest} is kept by the pin of {APP}; unpin that first"
    assert (refused.exit_code, why in refused.stderr) == (1, True)
