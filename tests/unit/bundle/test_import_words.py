"""What `bundle import` says about volumes that were not given, older bundles, and their records."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from registry.cli.main import build_cli
from tests.harness.bundles import write_volumes
from tests.harness.filled_folder import open_filled
from tests.harness.import_side import APP, make_bundle, sign_bundle

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command on a new data folder; give it the words and the exit code."""
    monkeypatch.setenv("ENTREPOT_STORAGE__PATH", str(tmp_path / "data"))

    def invoke(*words: str | Path, code: int = 0) -> Result:
        done = CliRunner().invoke(build_cli(), [str(word) for word in words])
        assert done.exit_code == code, done.output
        return done

    return invoke


async def _write_volumes(folder: Path) -> list[Path]:
    async with open_filled(folder / "here") as here:
        await here.put_image(APP, [os.urandom(200_000)])
        return await write_volumes(here, [APP], folder, 96 * 1024)


def test_a_volume_that_is_not_needed_is_named(run: Run, tmp_path: Path) -> None:
    """If all images are complete without it, nobody has to look for it, and the exit code is 0."""
    volumes = asyncio.run(_write_volumes(tmp_path))
    count = len(volumes)
    run("bundle", "import", *volumes)
    done = run("bundle", "import", *volumes[:-1]).stdout
    assert f"volume {count} of {count} was not given; its content is stored already\n" in done
    done = run("bundle", "import", volumes[0]).stdout
    assert f"volumes 2-{count} of {count} were not given; their content is stored already\n" in done


def test_an_older_bundle_is_refused_in_plain_words(run: Run, tmp_path: Path) -> None:
    """The message names the tag that would be moved back, and the option."""
    for name in ("old", "new"):
        content = asyncio.run(make_bundle(tmp_path / name, name.encode()))
        (tmp_path / f"{name}.tar").write_bytes(content)
        run("bundle", "import", tmp_path / f"{name}.tar")
    done = run("bundle", "import", tmp_path / "old.tar", code=1)
    assert done.stderr.endswith(
        "entrepot: this bundle is older than what is stored here; it would move this tag back:"
        f" {APP}. Nothing was imported. To import it anyway, add --move-back\n"
    )


def test_show_says_by_which_bundle_an_image_came(run: Run, tmp_path: Path) -> None:
    """The time is of the import, and the signature is of the bundle."""
    bundle, key = sign_bundle(asyncio.run(make_bundle(tmp_path / "a", b"1")), tmp_path / "ours")
    (tmp_path / "a.tar").write_bytes(bundle)
    run("bundle", "import", tmp_path / "a.tar")
    shown = run("images", "show", APP).stdout
    assert " (imported just now, signature not checked)\n" in shown
    run("bundle", "import", tmp_path / "a.tar", "--key", key)
    shown = run("images", "show", APP).stdout
    assert " (imported just now, signed by ours.pub.pem)\n" in shown
