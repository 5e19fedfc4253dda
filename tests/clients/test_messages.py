"""The messages in docs/troubleshooting.md are what real clients print."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.clients import engines, programs
from tests.clients.conftest import make_home, require
from tests.clients.messages import MESSAGES, MIRROR, Message
from tests.clients.programs import place_of
from tests.clients.troubles import large_image
from tests.faults.full_disk import mount_disk
from tests.harness.daemons import bridge, isolate, local_address

pytestmark = pytest.mark.timeout(300)


@dataclass(frozen=True)
class Clients:
    """The clients, in a folder of their own."""

    home: Path
    containerd: Path
    dockerd: Path
    podman_options: tuple[str, ...]

    def write_command(self, client: str, name: str) -> list[str]:
        """Return what pulls an image."""
        match client:
            case "docker":
                return [place_of("docker"), "--host", f"unix://{self.dockerd}", "pull", name]
            case "containerd":
                ctr = [place_of("ctr"), "--address", str(self.containerd), "-n", "troubles"]
                return [*ctr, "images", "pull", name]
            case "podman":
                is_local = name.startswith("127.")
                tls = [f"--tls-verify={'false' if is_local else 'true'}"]
                return [place_of("podman"), "pull", *self.podman_options, *tls, name]
        raise AssertionError(client)

    def fail(self, client: str, name: str) -> str:
        """Let a pull fail, and return what the client has printed."""
        done = subprocess.run(
            self.write_command(client, name),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
            env=isolate(self.home) | {"CONTAINERS_STORAGE_CONF": f"{self.home}/storage.conf"},
        )
        assert done.returncode != 0, done.stdout
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """An address of this machine that clients take for that of another one."""
    require(programs.missing("ip", as_root=True))
    with local_address() as found:
        yield found


@pytest.fixture(scope="module")
def clients(folder: Path, containerd: Path, dockerd: Path) -> Clients:
    """All of them."""
    require(programs.missing("podman", as_root=True))
    home = make_home(folder, "messages")
    policy = home / "policy.json"
    policy.write_text(json.dumps({"default": [{"type": "insecureAcceptAnything"}]}))
    (home / "storage.conf").write_text(
        f'[storage]\ndriver = "vfs"\ngraphroot = "{home}/root"\nrunroot = "{home}/run"\n'
    )
    return Clients(home, containerd, dockerd, ("--quiet", f"--signature-policy={policy}"))


@pytest.mark.parametrize("message", MESSAGES, ids=str)
def test_a_client_prints_it(message: Message, clients: Clients, address: str, folder: Path) -> None:
    """The page has the words of the client, with the address of the mirror as on other pages."""
    place = Path(tempfile.mkdtemp(prefix="m", dir=folder))
    with ExitStack() as stack:
        if message.trouble is large_image:
            dockerd = stack.enter_context(run_with_small_disk(place / "d", clients.containerd))
            clients = replace(clients, dockerd=dockerd)
        name = stack.enter_context(message.trouble(place / "mirror", address))
        said = clients.fail(message.client, name)
    assert message.text in normalize(said, name)


@contextmanager
def run_with_small_disk(folder: Path, containerd: Path) -> Iterator[Path]:
    """Start a dockerd whose images are on a disk of 16 MiB, and yield its socket."""
    with mount_disk(folder / "data", "16m"), bridge() as network:
        configuration = folder / "daemon.json"
        settings = engines.place_dockerd(folder, containerd) | {"bridge": network}
        configuration.write_text(json.dumps(settings))
        with engines.start_dockerd(folder, configuration) as (socket, _):
            yield socket


def normalize(said: str, name: str) -> str:
    """Return what a client has printed in one line, with the names that the page has."""
    host = name.partition("/")[0]
    address = host.partition(":")[0]
    renamed = said.replace(host, MIRROR).replace("entrepot-hello", "busybox")
    if not address.startswith("127."):
        renamed = renamed.replace(address, MIRROR.partition(":")[0])
    return " ".join(renamed.split())
