"""Texts that look like images in `bundle create` and `bundle check`."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from registry.cli.main import build_cli
from tests.harness.bundles import write_bundle
from tests.harness.filled_folder import open_filled

APP, TOOL = "docker.io/library/app:1", "ghcr.io/team/tool:2"
DEPLOY = """\
kind: Pod
metadata: {name: web}
spec:
  containers:
  - name: app
    image: app:1
    command:
    - --tool-image=ghcr.io/team/tool:2
    env:
    - {name: OTHER_IMAGE, value: other}
"""
OTHER = "docker.io/library/other:latest"
Run = Callable[..., Result]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with two images, bundles of one and both, and a file that wants three."""
    folder = tmp_path_factory.mktemp("site")

    async def make() -> None:
        async with open_filled(folder / "data") as filled:
            await filled.put_image(APP, [b"app"])
            await filled.put_image(TOOL, [b"tool"])
            (folder / "one.tar").write_bytes(await write_bundle(filled, [APP]))
            (folder / "both.tar").write_bytes(await write_bundle(filled, [APP, TOOL]))

    asyncio.run(make())
    (folder / "deploy.yaml").write_text(DEPLOY)
    return folder


@pytest.fixture
def run(site: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command of `bundle` with this data folder."""
    monkeypatch.setenv("ENTREPOT_STORAGE__PATH", str(site / "data"))
    return lambda *words: CliRunner().invoke(build_cli(), ["bundle", *words])


def test_create_shows_guesses_and_takes_them_if_asked(run: Run, site: Path, tmp_path: Path) -> None:
    """Without `--guesses` they are shown; with it, those that are stored are written."""
    words = ("create", "-o", str(tmp_path / "a.tar"), "-f", str(site / "deploy.yaml"), "--json")

    shown = run(*words, "--dry-run", "--mode", "complete")
    taken = run(*words, "--mode", "complete", "--guesses")

    assert [each["name"] for each in json.loads(shown.stdout)["images"]] == [APP]
    assert f"{site}/deploy.yaml:8 Pod/web field spec.containers[0].command[0]" in shown.stderr
    assert "2 texts look like images and are not taken" in shown.stderr
    assert taken.exit_code == 0, taken.stderr
    assert [each["name"] for each in json.loads(taken.stdout)["images"]] == [APP, TOOL]
    assert f"{OTHER} is not stored here; it only looks like an image" in taken.stderr


@pytest.mark.parametrize(
    ("bundle", "options", "missing", "code"),
    [
        ("one.tar", [], [TOOL, OTHER], 0),
        ("both.tar", [], [OTHER], 0),
        ("one.tar", ["--guesses"], [TOOL, OTHER], 1),
        ("both.tar", ["--guesses"], [OTHER], 1),
    ],
)
def test_check_says_what_may_be_needed(
    run: Run, site: Path, bundle: str, options: list[str], missing: list[str], code: int
) -> None:
    """A missing guess is always shown with its place; it fails the check if it is to count."""
    words = ("check", str(site / bundle), "-f", str(site / "deploy.yaml"), *options)
    done, facts = run(*words), json.loads(run(*words, "--json").stdout)

    assert done.exit_code == code
    assert [each["image"] for each in facts["missing"]] == missing
    assert all(each["guess"] != bool(code) for each in facts["missing"])
    for name in missing:
        may = "" if code else " may be needed (it looks like an image)"
        assert f"{name}{may}: it is not in the bundle" in done.stdout
    assert f"wanted by {site}/deploy.yaml:10 Pod/web field" in done.stdout
    count = f"{len(missing)} possible image{'s' * (len(missing) > 1)}"
    named = f"{3 - len(missing)} image{'s' * (len(missing) < 2)}"
    assert (f"{named}: nothing is missing except {count}\n" in done.stdout) == (not code)


def test_certain_place_makes_a_guess_certain(run: Run, site: Path, tmp_path: Path) -> None:
    """An image that another file names for sure is no guess any more."""
    (tmp_path / "list.txt").write_text(f"{OTHER}\n")
    files = ("-f", str(site / "deploy.yaml"), "-f", str(tmp_path / "list.txt"))
    done = run("check", str(site / "both.tar"), *files)
    assert done.exit_code == 1
    assert f"{OTHER}: it is not in the bundle" in done.stdout
