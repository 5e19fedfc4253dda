"""The first commands on a machine where nobody has started a server yet."""

import json
import socket
import subprocess
from pathlib import Path

import pytest

from tests.fakes.upstream import FakeUpstream
from tests.harness.bundles import write_bundle
from tests.harness.commands import run_command
from tests.harness.filled_folder import open_filled
from tests.integration.wire import list_tree

APP = "docker.io/library/app:1"
FREE_PORTS = 'server.listen = "127.0.0.1:0"\nserver.console = "127.0.0.1:0"\n'


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The configuration of a data folder that is not there."""
    (tmp_path / "site").mkdir()
    path = tmp_path / "site" / "entrepot.toml"
    path.write_text(f"storage.path = {json.dumps(str(tmp_path / 'site' / 'data'))}\n")
    return path


@pytest.fixture
async def bundle(tmp_path: Path) -> Path:
    """A bundle of one image."""
    async with open_filled(tmp_path / "other") as filled:
        await filled.put_image(APP, [b"layer"])
        raw = await write_bundle(filled, [APP])
    (tmp_path / "b.tar").write_bytes(raw)
    return tmp_path / "b.tar"


def run(config: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return run_command(*words, "--config", str(config))


@pytest.mark.parametrize("is_there", [False, True])
def test_an_import_makes_the_data_folder(config: Path, bundle: Path, *, is_there: bool) -> None:
    """Missing or empty, with what a new file system has in it, it is made; and that is said."""
    data = config.parent / "data"
    if is_there:
        (data / "lost+found").mkdir(parents=True)
    done = run(config, "bundle", "import", str(bundle))
    assert done.returncode == 0, done.stderr
    assert f"made the data folder {data}\n" in done.stderr
    assert run(config, "images", "ls", "--offline").returncode == 0
    again = run(config, "bundle", "import", str(bundle))
    (warning,) = again.stderr.splitlines()  # the folder is not made once more
    assert (again.returncode, "the bundle is not signed" in warning) == (0, True)


def test_warming_makes_the_data_folder(config: Path, hub: FakeUpstream) -> None:
    """The connected side begins with it."""
    hub.add_image("library/app", "1", [b"layer"])
    config.write_text(f'{config.read_text()}[upstreams."docker.io"]\nendpoints = ["{hub.url}"]\n')
    tried = run(config, "images", "warm", "app:1", "--platform", "all", "--dry-run")
    assert (tried.returncode, list_tree(config.parent)) == (0, ["entrepot.toml"]), tried.stderr
    done = run(config, "images", "warm", "app:1", "--platform", "all")
    assert done.returncode == 0, done.stderr
    assert run(config, "images", "ls", "--offline").returncode == 0


def test_what_only_tries_makes_none(config: Path, bundle: Path) -> None:
    """A dry run prints what would be done and changes nothing; lists are empty."""
    tried = run(config, "bundle", "import", str(bundle), "--dry-run")
    assert tried.returncode == 0, tried.stderr
    assert f"would be imported: {APP}  " in tried.stdout
    assert run(config, "images", "warm", "app:1", "--explain").returncode == 0
    assert run(config, "images", "ls").returncode == 2
    assert run(config, "cache", "stats").returncode == 2
    assert list_tree(config.parent) == ["entrepot.toml"]


def test_a_trial_knows_the_room_of_the_disk(config: Path, bundle: Path) -> None:
    """Where it would not fit, that is said before there is anything."""
    config.write_text(f'{config.read_text()}storage.reserve = "100000TiB"\n')
    tried = run(config, "bundle", "import", str(bundle), "--dry-run")
    assert (tried.returncode, "at most 0 B can be made free" in tried.stderr) == (1, True)


def test_a_folder_of_somebody_else_is_refused(config: Path, bundle: Path) -> None:
    """A path that was mistyped shall not be littered: every kind of command says the same."""
    data = config.parent / "data"
    data.mkdir()
    (data / "letters.txt").write_text("dear")
    config.write_text(f"{config.read_text()}{FREE_PORTS}")
    importing = ["bundle", "import", str(bundle)]
    for words in (["serve"], importing, [*importing, "--dry-run"], ["images", "ls"]):
        done = run(config, *words)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"{data} is no data folder (it contains letters.txt, and no LAYOUT" in done.stderr
    assert list_tree(config.parent) == ["data", "data/letters.txt", "entrepot.toml"]


def test_a_command_that_fails_leaves_no_folder(
    config: Path, bundle: Path, hub: FakeUpstream
) -> None:
    """Whatever the reason is, there is afterwards what there was before, also above the folder."""
    data = config.parent / "a" / "b" / "data"
    with socket.create_server(("127.0.0.1", 0)) as busy:
        taken = (
            f'server.listen = "127.0.0.1:0"\nserver.console = "127.0.0.1:{busy.getsockname()[1]}"'
        )
        upstream = f'[upstreams."docker.io"]\nendpoints = ["{hub.url}"]\n'
        config.write_text(f"storage.path = {json.dumps(str(data))}\n{taken}\n{upstream}")
        unsigned = ["bundle", "import", str(bundle), "--key", str(config)]
        for words in (["serve"], ["images", "warm", "nosuch:1"], unsigned, ["images", "ls"]):
            done = run(config, *words)
            assert done.returncode in (1, 2), done.stdout
            assert list_tree(config.parent) == ["entrepot.toml"], words


def test_what_was_stored_before_a_failure_stays(config: Path, hub: FakeUpstream) -> None:
    """One of two images fails: the other one is kept, and so is the data folder."""
    data = config.parent / "data"
    (data / "lost+found").mkdir(parents=True)
    hub.add_image("library/app", "1", [b"layer"])
    config.write_text(f'{config.read_text()}[upstreams."docker.io"]\nendpoints = ["{hub.url}"]\n')
    done = run(config, "images", "warm", "app:1", "nosuch:1", "--platform", "all")
    assert (done.returncode, f"made the data folder {data}\n" in done.stderr) == (1, True)
    assert run(config, "images", "ls", "--offline", "app:1").returncode == 0


def test_an_empty_folder_that_was_there_stays(config: Path) -> None:
    """A mount point keeps its mode and what the file system has in it."""
    data = config.parent / "data"
    (data / "lost+found").mkdir(parents=True)
    data.chmod(0o750)
    done = run(config, "bundle", "import", "nosuch.tar")
    assert (done.returncode, list_tree(data)) == (2, ["lost+found"]), done.stderr
    assert data.stat().st_mode & 0o777 == 0o750
    assert "made the data folder" not in done.stderr


def test_a_making_that_was_killed_is_made_good(config: Path, bundle: Path) -> None:
    """What it left, and what a killed trial left, is no obstacle."""
    for name in ("blobs", "spool", ".entrepot-trial-x"):
        (config.parent / "data" / name).mkdir(parents=True)
    (config.parent / "data" / "LAYOUT").write_text("1\n")
    assert run(config, "bundle", "import", str(bundle)).returncode == 0


def test_what_cannot_be_made_is_said(config: Path, bundle: Path) -> None:
    """One line that names the setting, from the trial as from the import."""
    config.write_text('storage.path = "/proc/entrepot"\n')
    for words in ([], ["--dry-run"]):
        done = run(config, "bundle", "import", str(bundle), *words)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
        assert done.stderr.startswith(f"entrepot: {config}:1: storage.path: /proc")
