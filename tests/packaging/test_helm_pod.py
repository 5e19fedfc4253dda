"""The pod of the Helm chart comes up with the image of the Dockerfile, and an image is pulled."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.conftest import require
from tests.integration.wire import Answer, fetch, wait_until
from tests.packaging import base_image, chart, context, engine, pod
from tests.packaging.engine import Engine

pytestmark = pytest.mark.timeout(900)

BASE = "entrepot-test-base:local"
VALUES = {
    "secrets": ["hub.login"],
    "settings": {
        "server": {"workers": 1},
        "upstreams": {
            "docker.io": {
                "endpoints": ["http://127.0.0.1:5050"],
                "username": "robot",
                "password_file": "/run/secrets/hub.login/token",
            }
        },
    },
}
IMAGE = "library/app"


@dataclass(frozen=True)
class Pod:
    """The running container; `data` is its volume."""

    host: Engine
    data: Path

    def exec(self, *words: str) -> str:
        """Run a command in the container, as `kubectl exec` does."""
        return self.host.docker("exec", "pod", *words)

    def ask(self, port: int, path: str) -> Answer:
        """Ask the mirror over the address of its host, as a node and Prometheus do."""
        return fetch(f"http://{self.host.address}:{port}{path}")


@pytest.fixture(scope="module")
def running_pod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    """The image built from the checkout, an upstream on its host, and the pod ready."""
    require(", ".join(engine.missing()))
    folder = tmp_path_factory.mktemp("build")
    context.prepare(folder)
    base_image.write(folder / "base.tar")
    manifests = chart.read(VALUES)
    with engine.running() as host, upstream_on(host):
        host.docker("import", folder / "base.tar", BASE)
        built = pod.find_pod(manifests)["containers"][0]["image"]
        options = (f"--build-arg=BASE={BASE}", f"--build-arg=PIP_FLAGS={context.PIP_FLAGS}")
        host.docker("build", *options, "--tag", built, folder, seconds=300)
        # Other users have to pass the folder of the test.
        volumes = pod.lay_volumes(
            manifests, {"hub.login": {"token": "secret"}}, host.folder / "volumes"
        )
        host.folder.chmod(0o755)
        words = pod.list_arguments(manifests, volumes)
        host.docker("run", "--detach", "--name=pod", "--network=host", *words)
        started = Pod(host, volumes["data"])
        try:
            wait_until(lambda: is_ready(started), "the pod is ready", 60)
            yield started
        except AssertionError as late:
            raise AssertionError(f"{late}\n{host.docker('logs', 'pod')}") from late
        finally:
            host.docker("rm", "--force", "pod")


@contextmanager
def upstream_on(host: Engine) -> Iterator[None]:
    """Run a registry at the loopback address of the engine's host."""
    enter = ["nsenter", f"--net={host.namespace}", sys.executable, "-m", "tests.fakes.upstream"]
    with subprocess.Popen(
        [*enter, "--port=5050", f"--blob=1KiB:{IMAGE}:1"], cwd=context.ROOT, stdout=subprocess.PIPE
    ) as process:
        try:
            assert json.loads(process.stdout.readline())["url"].endswith(":5050")
            yield
        finally:
            process.terminate()


def is_ready(started: Pod) -> bool:
    """Whether the probe of the pod says so."""
    try:
        return started.ask(5001, "/readyz").status == 200
    except OSError:
        return False


def test_an_image_is_pulled_through_the_pod(running_pod: Pod) -> None:
    """The second time, the manifest is answered from the volume."""
    asked = f"/v2/{IMAGE}/manifests/1"

    assert [running_pod.ask(5000, asked).origin for _ in "12"] == ["miss", "hit"]
    (layer,) = json.loads(running_pod.ask(5000, asked).body)["layers"]
    blob = running_pod.ask(5000, f"/v2/{IMAGE}/blobs/{layer['digest']}")
    assert (200, layer["size"]) == (blob.status, len(blob.body))


def test_the_commands_have_the_settings_of_the_server(running_pod: Pod) -> None:
    """`kubectl exec` needs no options, and the password file is open to nobody else."""
    said = running_pod.exec("entrepot", "config", "check")

    assert "/etc/entrepot/entrepot.toml" in said
    assert "data folder: /data/entrepot (a server is using it)" in said
    assert "other users can read" not in said
    shown = json.loads(running_pod.exec("entrepot", "config", "show", "--json"))
    assert shown["storage"]["limit"] == "90GiB"


def test_the_volume_stays_as_it_was(running_pod: Pod) -> None:
    """The data folder is one of its own, which its user alone may enter."""
    assert {each.name for each in running_pod.data.iterdir()} == {"entrepot", "lost+found"}
    state = (running_pod.data / "entrepot").stat()
    assert (state.st_uid, state.st_mode & 0o777) == (10001, 0o700)


def test_the_pod_stops_when_asked(running_pod: Pod) -> None:
    """SIGTERM ends it with 0 before kubelet would kill it, and it starts again."""
    grace = pod.find_pod(chart.read(VALUES))["terminationGracePeriodSeconds"]
    running_pod.host.docker("stop", f"--time={grace}", "pod")
    code = running_pod.host.docker("inspect", "--format={{.State.ExitCode}}", "pod")
    assert code.strip() == "0"

    running_pod.host.docker("start", "pod")

    wait_until(lambda: is_ready(running_pod), "the pod is ready again", 60)
    assert running_pod.ask(5000, f"/v2/{IMAGE}/manifests/1").status == 200
