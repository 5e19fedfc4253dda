"""The id of a bundle depends on its images, and not on the day, the client or the folder."""

import asyncio
import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from registry.cli.main import build_cli
from tests.harness.filled_folder import open_filled

POD = """apiVersion: v1
kind: Pod
metadata: {name: web}
spec: {containers: [{name: a, image: "app:1"}]}
"""


class PulledFolder:
    """A data folder, pulls from it, and the ids of bundles of its images."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "entrepot.toml"
        self.config.write_text(f"storage.path = {json.dumps(str(folder / 'data'))}\n")
        asyncio.run(self._fill())

    async def _fill(self) -> None:
        async with open_filled(self.folder / "data") as filled:
            images = [
                await filled.put_image(f"docker.io/library/{n}:1", [b"1"]) for n in self.names
            ]
            self.digests = [str(image.digest) for image in images]

    names = ("app", "tool")

    def pull(self, client: str, age: float) -> None:
        """Have both images pulled once, by a client so many seconds ago."""
        with closing(sqlite3.connect(self.folder / "data" / "catalog.db")) as rows, rows:
            rows.execute("DELETE FROM pulls")
            for name, digest in zip(self.names, self.digests, strict=True):
                row = (digest, f"docker.io/library/{name}", "1", client, time.time() - age)
                rows.execute("INSERT INTO pulls VALUES (?, ?, ?, ?, ?)", row)

    def create(self, *words: str, stdin: str = "") -> tuple[str, str]:
        """The id of a bundle, and its lock."""
        path = self.folder / "a.tar"
        options = ("--platform", "linux/amd64", "--json", "--config", str(self.config))
        words = ("bundle", "create", "-o", str(path), *words, *options)
        done = CliRunner().invoke(build_cli(), words, input=stdin)
        assert done.exit_code == 0, done.output
        content = path.read_bytes()
        path.unlink()
        return json.loads(done.stdout)["bundle"], content.decode(errors="replace")


@pytest.fixture(scope="module")
def pulled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PulledFolder]:
    return PulledFolder(tmp_path_factory.mktemp("pulled"))


ADDRESSES = st.ip_addresses().map(str)
AGES = st.floats(1, 6 * 86_400)


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.tuples(ADDRESSES, AGES), st.tuples(ADDRESSES, AGES))
def test_neither_clients_nor_the_clock_are_in_it(
    pulled: PulledFolder, one: tuple[str, float], other: tuple[str, float]
) -> None:
    """Bundles of the same pulled images are the same, for all clients and times of the pulls."""
    made = []
    for client, age in (one, other):
        pulled.pull(client, age)
        made.append(pulled.create("--pulled-since", "7d"))
        assert f"by {client}" not in made[-1][1]
    assert made[0] == made[1]


def test_a_pull_that_grows_old_changes_nothing(pulled: PulledFolder) -> None:
    """The last pull of an image may become too old, if a file names the image too."""
    pod = pulled.folder / "pod.yaml"
    pod.write_text(POD)
    pulled.pull("10.0.0.9", 60)
    young = pulled.create("-f", str(pod), "tool:1", "--pulled-since", "7d")
    pulled.pull("10.0.0.9", 8 * 86_400)
    assert young == pulled.create("-f", str(pod), "tool:1", "--pulled-since", "7d")


def test_the_folder_is_not_in_it(pulled: PulledFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any path to a file gives the same bundle; for a pipe the lock has `stdin`."""
    (pulled.folder / "there").mkdir()
    for path in (pulled.folder / "pod.yaml", pulled.folder / "there" / "pod.yaml"):
        path.write_text(POD)
    monkeypatch.chdir(pulled.folder)
    plain = pulled.create("-f", "pod.yaml")
    assert plain == pulled.create("-f", str(pulled.folder / "pod.yaml"))
    assert plain == pulled.create("-f", "there/pod.yaml", "-f", "pod.yaml")
    assert '"sources":["pod.yaml:4 Pod/web container a"]' in plain[1]
    assert '"sources":["stdin:4 Pod/web container a"]' in pulled.create("-f", "-", stdin=POD)[1]
