"""From version 0.1 to this one, and back: what works, and what is refused without a change."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.harness.commands import clean_environment
from tests.harness.mirror import MirrorProcess
from tests.integration.wire import fetch, wait_until

SAMPLES = Path(__file__).parents[1] / "samples" / "v0.1"
IMAGES = {"docker.io/library/app:1", "docker.io/library/tool:2"}


class OldEntrepot:
    """The program of version 0.1, with the libraries of this version."""

    def __init__(self, code: Path, config: Path) -> None:
        self._code = code
        self._config = config

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            self._command(*arguments),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            **self._place(),
        )

    @contextmanager
    def serving(self, log: Path) -> Iterator[str]:
        """Serve, and yield the URL for pulls; SIGTERM has to end it with 0."""
        with log.open("wb") as output:
            process = subprocess.Popen(
                self._command("serve", "--offline"),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                **self._place(),
            )
        try:
            wait_until(lambda: '"serving"' in log.read_text(), "the old server serves")
            lines = [json.loads(line) for line in log.read_text().splitlines() if line[0] == "{"]
            yield next(f"http://{line['pulls']}" for line in lines if line["event"] == "serving")
        finally:
            process.terminate()
            assert process.wait(timeout=60) == 0, log.read_text()

    def list_images(self) -> set[str]:
        """Return the names of the tags that are stored."""
        done = self.run("images", "ls", "--json")
        assert done.returncode == 0, done.stderr
        return {each["name"] for each in json.loads(done.stdout) if "@" not in each["name"]}

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "registry", *arguments, "--config", str(self._config)]

    def _place(self) -> dict[str, Any]:
        # Python looks for modules in the current folder first.
        return {"cwd": self._code, "env": clean_environment() | {"PYTHONPATH": str(self._code)}}


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The code of version 0.1."""
    folder = tmp_path_factory.mktemp("code")
    with tarfile.open(SAMPLES / "registry.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The data folder of version 0.1."""
    with tarfile.open(SAMPLES / "data.tar.xz") as archive:
        archive.extractall(tmp_path, filter="tar")
    return tmp_path / "data"


@pytest.fixture
def mirror(tmp_path: Path, data: Path) -> MirrorProcess:
    """This version, offline, on that data folder; not started."""
    settings = {"storage": {"path": str(data)}, "offline": True}
    upstreams = {"docker.io": "https://registry-1.docker.io"}
    return MirrorProcess(tmp_path / "mirror", upstreams, settings, workers=1)


@pytest.fixture
def old(code: Path, tmp_path: Path, data: Path) -> OldEntrepot:
    """Version 0.1 on the same data folder."""
    return OldEntrepot(code, write_config(tmp_path / "old.toml", data))


def write_config(path: Path, data: Path) -> Path:
    path.write_text(
        'server.listen = "127.0.0.1:0"\nserver.console = "127.0.0.1:0"\nserver.workers = 1\n'
        f"storage.path = {json.dumps(str(data))}\n"
    )
    return path


def read_tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return mode and bytes of every file."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mode, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


def pull(url: str) -> bytes:
    """Pull the manifest of an image by its tag."""
    answer = fetch(f"{url}/v2/library/app/manifests/1")
    assert answer.status == 200, answer
    return answer.body


def test_an_upgrade_keeps_the_images_and_the_old_version_refuses_it(
    mirror: MirrorProcess, old: OldEntrepot, data: Path, tmp_path: Path
) -> None:
    """The new server serves the same bytes; then the old one refuses, and changes nothing."""
    assert "wait_for" not in old.run("config", "show").stdout  # it is not this version
    with old.serving(tmp_path / "old.log") as url:
        before = pull(url)
    with mirror:
        assert pull(mirror.url) == before
    kept = read_tree(data)

    for words, code in ((["serve"], 2), (["images", "ls"], 1), (["images", "unpin", "app:1"], 1)):
        done = old.run(*words)
        assert (done.returncode, len(done.stderr.splitlines())) == (code, 1), done
        assert "newer" in done.stderr

    now = read_tree(data)
    assert [name for name in kept.keys() | now.keys() if kept.get(name) != now.get(name)] == []


def test_the_way_back_by_a_backup(
    mirror: MirrorProcess, old: OldEntrepot, code: Path, tmp_path: Path
) -> None:
    """A backup of before the upgrade is a data folder of the old version."""
    backup = tmp_path / "backup"
    done = old.run("cache", "backup", str(backup))
    assert done.returncode == 0, done.stderr
    with mirror:
        pull(mirror.url)
    restored = OldEntrepot(code, write_config(tmp_path / "restored.toml", backup))

    with restored.serving(tmp_path / "old.log") as url:
        pull(url)

    assert restored.list_images() >= IMAGES


def test_the_way_back_without_a_backup(
    mirror: MirrorProcess, old: OldEntrepot, data: Path, tmp_path: Path
) -> None:
    """Without catalog.db, the old version makes one from the files: images and pins stay.

    What went back can be upgraded again.
    """
    with mirror:
        new = pull(mirror.url)
    for path in data.glob("catalog.db*"):
        path.unlink()

    with old.serving(tmp_path / "old.log") as url:
        assert pull(url) == new
    assert old.list_images() >= IMAGES
    done = old.run("images", "ls", "app:1", "--json")
    assert json.loads(done.stdout)[0]["pins"] == ["docker.io/library/app:1"]

    with mirror:
        assert pull(mirror.url) == new


def test_an_older_server_is_not_upgraded_while_it_runs(
    mirror: MirrorProcess, old: OldEntrepot, data: Path, tmp_path: Path
) -> None:
    """The new version refuses, and the old one goes on serving."""
    write_config(mirror.config, data)
    with old.serving(tmp_path / "old.log") as url:
        pull(url)
        done = mirror.run("images", "ls")
        assert (done.returncode, "stop the server" in done.stderr) == (1, True)
        pull(url)
