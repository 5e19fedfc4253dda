"""The daemons behind the clients: a containerd, and a dockerd that runs its containers on it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.clients.programs import place_of
from tests.harness.daemons import Daemon, bridge, isolate

CONTAINERD = """
version = 2
root = "{folder}/root"
state = "{folder}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.devmapper"]
[grpc]
  address = "{folder}/c.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "{folder}/opt"
"""

NAMESPACES = ("--containerd-namespace=dockerd", "--containerd-plugins-namespace=dockerd-plugins")


@contextmanager
def run_containerd(folder: Path) -> Iterator[Path]:
    """Start a containerd of our own and yield its socket."""
    folder.mkdir()
    socket = folder / "c.sock"
    configuration = folder / "config.toml"
    configuration.write_text(CONTAINERD.format(folder=folder))
    environment = isolate(folder)
    command = [place_of("containerd"), "--config", str(configuration)]
    with Daemon(command, folder / "log", environment) as daemon:
        ctr = [place_of("ctr"), "--address", str(socket), "version"]
        daemon.start(lambda: socket.exists() and _succeeds(ctr, environment))
        yield socket


@contextmanager
def run_dockerd(folder: Path, containerd: Path, mirror: str) -> Iterator[Path]:
    """Start a dockerd with this registry mirror, on a bridge of its own; yield its socket."""
    folder.mkdir()
    socket = folder / "d.sock"
    configuration = folder / "daemon.json"
    environment = isolate(folder)
    with bridge() as network:
        settings = {
            "registry-mirrors": [mirror],
            "hosts": [f"unix://{socket}"],
            "data-root": f"{folder}/data",
            "exec-root": f"{folder}/exec",
            "pidfile": f"{folder}/pid",
            "containerd": str(containerd),
            # This machine's firewall, forwarding and `docker0` belong to others.
            "bridge": network,
            "iptables": False,
            "ip-forward": False,
            "ip-masq": False,
            "userland-proxy": False,
        }
        configuration.write_text(json.dumps(settings))
        command = [place_of("dockerd"), "--config-file", str(configuration), *NAMESPACES]
        with Daemon(command, folder / "log", environment) as daemon:
            docker = [place_of("docker"), "--host", f"unix://{socket}", "version"]
            daemon.start(lambda: socket.exists() and _succeeds(docker, environment))
            yield socket


def _succeeds(command: list[str], environment: Mapping[str, str]) -> bool:
    asked = subprocess.run(command, capture_output=True, timeout=30, check=False, env=environment)
    return asked.returncode == 0
