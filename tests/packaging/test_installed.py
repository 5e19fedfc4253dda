"""The wheel of a release, with pipx and uvx in an empty home: it starts, and pulls an image."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from registry import __version__
from tests.fakes.upstream import FakeUpstream
from tests.harness.free_port import find_free_port
from tests.integration.wire import fetch, wait_until
from tests.packaging import context, index_programs
from tests.packaging.checkout import ROOT, Checkout
from tests.packaging.engine import finished

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(not (ROOT / ".git").exists(), reason="an sdist has no commit to release"),
]

PAGE = (ROOT / "docs" / "installation.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("## Verify a release\n")[2].partition("\n## ")[0]
_, BLOCK = re.findall(r"^```sh\n(.*?)^```", SECTION, re.DOTALL | re.MULTILINE)
INSTALL, RUN = BLOCK.splitlines()


class Person:
    """Somebody with an empty home, who has the wheel, pipx or uv, and the locked wheels."""

    def __init__(self, folder: Path, program: str) -> None:
        self.home = folder / "home"
        self.home.mkdir()
        self.files = Checkout.make(folder / "checkout").build(folder / "files")
        self.data = folder / "data"
        # Not both: pipx would use uv in place of pip.
        bin_folders = [self.home / ".local" / "bin", index_programs.install(program)]
        self.environment = {
            "HOME": str(self.home),
            "PATH": ":".join(map(str, [*bin_folders, "/usr/bin", "/bin"])),
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(context.find_wheels()),
            "UV_OFFLINE": "1",
            "UV_FIND_LINKS": str(context.find_wheels()),
            "UV_PYTHON": sys.executable,
            "UV_PYTHON_DOWNLOADS": "never",
        }

    def type(self, line: str) -> str:
        """Run a line in the folder with the files of the release, and return what it printed."""
        return finished(["sh", "-euc", line], 400, self.environment, self.files)

    @contextmanager
    def serving(self, line: str, hub: FakeUpstream) -> Iterator[str]:
        """Run a line that starts the mirror, and give the URL to pull from."""
        listen, console = (f"127.0.0.1:{find_free_port()}" for _ in "12")
        settings = self.data.with_suffix(".toml")
        settings.write_text(f'[upstreams."docker.io"]\nendpoints = ["{hub.url}"]\n')
        variables = {
            "ENTREPOT_CONFIG": str(settings),
            "ENTREPOT_STORAGE__PATH": str(self.data),
            "ENTREPOT_SERVER__LISTEN": listen,
            "ENTREPOT_SERVER__CONSOLE": console,
            "ENTREPOT_SERVER__WORKERS": "1",
        }
        log = self.data.with_suffix(".log")
        with (
            log.open("wb") as output,
            subprocess.Popen(
                ["sh", "-euc", f"exec {line}"],
                cwd=self.files,
                env=self.environment | variables,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            ) as process,
        ):
            try:
                wait_until(lambda: answers(listen) or process.poll(), "the mirror answers", 300)
                assert process.poll() is None, log.read_text()
                yield f"http://{listen}"
                os.killpg(process.pid, signal.SIGTERM)
                process.wait(60)
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)


def answers(address: str) -> bool:
    """Whether a mirror listens there."""
    try:
        return fetch(f"http://{address}/v2/").status == 200
    except OSError:
        return False


def pull(mirror: str) -> list[str | None]:
    """Pull an image twice; return where the manifest came from."""
    answered = [fetch(f"{mirror}/v2/library/app/manifests/1") for _ in "12"]
    assert [each.status for each in answered] == [200, 200]
    return [each.origin for each in answered]


def test_pipx_installs_the_wheel(tmp_path: Path, hub: FakeUpstream) -> None:
    """The command is there with its version, and the mirror serves."""
    hub.add_image("library/app", "1", [b"layer"])
    person = Person(tmp_path, "pipx")
    person.type(INSTALL)

    assert person.type("entrepot --version") == f"entrepot {__version__}\n"
    with person.serving("entrepot serve", hub) as mirror:
        assert pull(mirror) == ["miss", "hit"]


def test_uvx_runs_the_wheel(tmp_path: Path, hub: FakeUpstream) -> None:
    """One line starts the mirror, and nothing is installed beside the cache of uv."""
    hub.add_image("library/app", "1", [b"layer"])
    person = Person(tmp_path, "uv")

    with person.serving(RUN.partition("  #")[0], hub) as mirror:
        assert pull(mirror) == ["miss", "hit"]
    assert not (person.home / ".local" / "bin").exists()


def test_it_is_the_wheel_of_the_folder(tmp_path: Path) -> None:
    """The page's line installs what is in the folder, and no other Entrepôt of this machine."""
    person = Person(tmp_path, "pipx")
    (wheel,) = person.files.glob("*.whl")
    wheel.write_bytes(b"no wheel")

    with pytest.raises(AssertionError, match=r"not a valid wheel|not a zip|invalid"):
        person.type(INSTALL)
