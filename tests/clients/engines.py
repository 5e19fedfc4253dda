"""The daemons behind the clients: a containerd, and a dockerd that runs its containers on it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
CONTAINERD_2 = """
version = 3
root = "{folder}/root"
state = "{folder}/state"
disabled_plugins = [
  "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime", "io.containerd.grpc.v1.cri",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.nri.v1.nri",
]
[grpc]
  address = "{folder}/c.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "{folder}/opt"
"""
NAMESPACES = ("--containerd-namespace=dockerd", "--containerd-plugins-namespace=dockerd-plugins")


@dataclass(frozen=True)
class Engine:
    """The settings of a containerd, and the programs in the order of `PROGRAMS`."""

    configuration: str
    containerd: str
    ctr: str
    dockerd: str
    docker: str


PROGRAMS = ("containerd", "ctr", "dockerd", "docker")
DEBIAN = Engine(CONTAINERD, *map(place_of, PROGRAMS))


@contextmanager
def run_with_certificates(folder: Path) -> Iterator[list[str]]:
    """Yield what to write before a command that shall find `folder` at `/etc/docker/certs.d`.

    dockerd reads `hosts.toml` only there. The mount is seen by that command alone.
    """
    layer = folder.with_name(f"{folder.name}-etc")
    link = layer / "docker" / "certs.d"
    link.parent.mkdir(parents=True)
    link.symlink_to(folder)
    with run_with_etc(layer) as under:
        yield under


@contextmanager
def run_with_etc(layer: Path) -> Iterator[list[str]]:
    """Yield what to write before a command that shall find the files of `layer` in `/etc` too.

    The mount is seen by that command alone.
    """
    mark = layer / f"mark-{layer.name}"
    mark.touch()
    mount = f"mount -t overlay overlay -o lowerdir={layer}:/etc /etc && exec sleep infinity"
    log = layer.with_name(f"{layer.name}-log")
    with Daemon(["unshare", "--mount", "sh", "-c", mount], log) as holder:
        holder.start(lambda: Path(f"/proc/{holder.pid}/root/etc/{mark.name}").exists())
        yield ["nsenter", f"--mount=/proc/{holder.pid}/ns/mnt", "--"]


@contextmanager
def run_containerd(
    folder: Path, engine: Engine = DEBIAN, under: Sequence[str] = ()
) -> Iterator[Path]:
    """Start a containerd of our own and yield its socket; `under` is written before the command."""
    folder.mkdir()
    socket = folder / "c.sock"
    configuration = folder / "config.toml"
    configuration.write_text(engine.configuration.format(folder=folder))
    environment = isolate(folder)
    command = [*under, engine.containerd, "--config", str(configuration)]
    with Daemon(command, folder / "log", environment) as daemon:
        ctr = [engine.ctr, "--address", str(socket), "version"]
        daemon.start(lambda: socket.exists() and _succeeds(ctr, environment))
        yield socket


@contextmanager
def run_dockerd(folder: Path, containerd: Path, mirror: str) -> Iterator[Path]:
    """Start a dockerd with this registry mirror, on a bridge of its own; yield its socket."""
    with (
        bridge() as network,
        _run_dockerd(
            folder, containerd, {"registry-mirrors": [mirror], "bridge": network}
        ) as socket,
    ):
        yield socket


@contextmanager
def run_recent(
    folder: Path, engine: Engine, mirrors: Sequence[str] = (), under: Sequence[str] = ()
) -> Iterator[tuple[Path, Path]]:
    """Start a containerd and a dockerd without a bridge, such as those of Docker 29.

    It yields both sockets. No containers are run with them.
    """
    folder.mkdir()
    settings = {"registry-mirrors": list(mirrors), "bridge": "none", "ip6tables": False}
    with (
        run_containerd(folder / "c", engine, under) as containerd,
        _run_dockerd(folder / "d", containerd, settings, engine, under) as dockerd,
    ):
        yield containerd, dockerd


@contextmanager
def run_buildkitd(
    folder: Path, containerd: Path, configuration: Path, programs: tuple[str, str]
) -> Iterator[Path]:
    """Start a BuildKit that builds with this containerd, and yield its socket.

    `configuration` is its file, and `programs` are buildkitd and buildctl.
    """
    folder.mkdir()
    socket = folder / "b.sock"
    environment = isolate(folder)
    address = f"unix://{socket}"
    places = (f"--addr={address}", f"--root={folder}/root", f"--config={configuration}")
    worker = ("--oci-worker=false", "--containerd-worker-net=host", "--containerd-worker=true")
    command = [programs[0], *places, *worker, f"--containerd-worker-addr={containerd}"]
    with Daemon(command, folder / "log", environment) as daemon:
        asked = [programs[1], f"--addr={address}", "debug", "workers"]
        daemon.start(lambda: socket.exists() and _succeeds(asked, environment))
        yield socket


@contextmanager
def _run_dockerd(
    folder: Path,
    containerd: Path,
    settings: Mapping[str, Any],
    engine: Engine = DEBIAN,
    under: Sequence[str] = (),
) -> Iterator[Path]:
    folder.mkdir()
    configuration = folder / "daemon.json"
    configuration.write_text(json.dumps({**place_dockerd(folder, containerd), **settings}))
    with start_dockerd(folder, configuration, engine, under) as (socket, _):
        yield socket


def place_dockerd(folder: Path, containerd: Path) -> dict[str, Any]:
    """Return the settings of a dockerd that keeps everything in a folder."""
    return {
        "hosts": [f"unix://{folder}/d.sock"],
        "data-root": f"{folder}/data",
        "exec-root": f"{folder}/exec",
        "pidfile": f"{folder}/pid",
        "containerd": str(containerd),
        # This machine's firewall, forwarding and `docker0` belong to others.
        "iptables": False,
        "ip-forward": False,
        "ip-masq": False,
        "userland-proxy": False,
    }


@contextmanager
def start_dockerd(
    folder: Path, configuration: Path, engine: Engine = DEBIAN, under: Sequence[str] = ()
) -> Iterator[tuple[Path, int]]:
    """Start a dockerd with the settings of `place_dockerd`; yield its socket and process."""
    socket, environment = folder / "d.sock", isolate(folder)
    command = [*under, engine.dockerd, "--config-file", str(configuration), *NAMESPACES]
    with Daemon(command, folder / "log", environment) as daemon:
        docker = [engine.docker, "--host", f"unix://{socket}", "version"]
        daemon.start(lambda: socket.exists() and _succeeds(docker, environment))
        yield socket, daemon.pid


def _succeeds(command: list[str], environment: Mapping[str, str]) -> bool:
    asked = subprocess.run(command, capture_output=True, timeout=30, check=False, env=environment)
    return asked.returncode == 0
