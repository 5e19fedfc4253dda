"""What the clients of this machine say of themselves: files, daemons, services."""

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from registry.cli.doctor.programs import has_program, run_program
from registry.clients.changes import decode
from registry.clients.containerd import CERTIFICATES
from registry.clients.diagnosis.cause import NO_DAEMON, NOT_DOCKER, Cause
from registry.clients.diagnosis.containerd import is_for_kubernetes
from registry.clients.diagnosis.examined import Examined
from registry.clients.diagnosis.known import UNITS
from registry.clients.diagnosis.proxies import read_proxies
from registry.clients.diagnosis.pulling import shorten
from registry.clients.diagnosis.services import Service, parse_service
from registry.clients.files import ClientFiles
from registry.clients.mirror import Mirror
from registry.errors import EntrepotError

ASKING = 4.0  # seconds that a program may take to say what it knows
_RKE2 = PurePosixPath("/var/lib/rancher/rke2/bin/crictl")
_BY_PROGRAM = ("docker", "nerdctl", "podman", "buildah", "skopeo", "k3s")


@dataclass(frozen=True, slots=True)
class Machine:
    """The files below a root, and the programs and services of this machine.

    `home` is the folder of this user, and `is_root` says that the user may read all files.
    """

    root: Path
    home: PurePosixPath
    environ: Mapping[str, str]
    is_root: bool

    def read(self, path: PurePosixPath) -> str | None:
        """Return the text of a file; None if there is none.

        Raises:
            ClientFileInvalid: it is no file of text.
            OSError: it cannot be read.
        """
        return decode(path, ClientFiles(self.root).read(path))

    def locate(self, path: PurePosixPath) -> Path:
        """Return where a file or folder is on this machine.

        Raises:
            ClientFileInvalid: a link leads out of the root.
        """
        return ClientFiles(self.root).locate(path)

    def list_names(self, path: PurePosixPath) -> tuple[str, ...]:
        """Return the names in a folder; none if it is missing.

        Raises:
            OSError: it cannot be read.
        """
        try:
            place = self.locate(path)
            return tuple(each.name for each in place.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return ()

    def find_change(self, path: PurePosixPath) -> float:
        """Return when a file was changed last, in epoch seconds; 0 if it is missing."""
        try:
            return self.locate(path).stat().st_mtime
        except OSError:
            return 0.0

    async def examine(self, client: str, registry: str, mirror: Mirror) -> Examined:
        """Return a client with its service, so that its configuration can be examined."""
        unit = UNITS.get(client, "")
        return Examined(
            client,
            registry,
            mirror,
            self.read,
            self.list_names,
            self.find_change,
            self.home,
            is_rootless=not self.is_root,
            service=await ask_service(unit) if unit else Service(),
            proxies=read_proxies(self.environ),
            host=socket.gethostname(),
            registries_conf=self.environ.get("CONTAINERS_REGISTRIES_CONF", ""),
        )

    def find_clients(self) -> list[str]:
        """Return the clients that there are on this machine."""
        found = [name for name in _BY_PROGRAM if has_program(name)]
        if has_program("crio"):
            found.append("cri-o")
        if self._has_kubernetes():
            found.append("containerd")
        if has_program("buildctl"):
            found.append("buildkit")
        if (self.root / str(_RKE2).lstrip("/")).exists():
            found.append("rke2")
        return found

    def _has_kubernetes(self) -> bool:
        """Whether containerd is here for Kubernetes too, and not only because docker needs it."""
        is_used = any(map(has_program, ("crictl", "kubelet")))
        try:
            is_meant = is_used or bool(self.list_names(CERTIFICATES))
            return has_program("containerd") and is_meant and is_for_kubernetes(self.read)
        except (EntrepotError, OSError):  # its check says that its files cannot be read
            return is_used


async def ask_service(unit: str) -> Service:
    """Return what systemd knows of a service; next to nothing where there is no systemd."""
    names = "--property=ActiveEnterTimestamp,Environment"
    ran = await run_program(("systemctl", "show", unit, "--timestamp=unix", names), ASKING)
    if ran is None or ran.code != 0:
        return Service(unit)
    started, environ = parse_service(ran.output)
    return Service(unit, started, read_proxies(environ))


async def ask_docker() -> Mapping[str, Any] | Cause:
    """Return what dockerd says of itself, or why it says nothing."""
    ran = await run_program(("docker", "info", "--format", "{{json .}}"), ASKING)
    if ran is None:
        return Cause(NO_DAEMON, "there is no docker on this machine", (), "docker info")
    info = _read_object(ran.output)
    if isinstance(info.get("host"), dict):
        sentence = "this is Podman, which has a check of its own"
        return Cause(NOT_DOCKER, sentence, (), "entrepot doctor --client podman")
    errors = info.get("ServerErrors")
    if info.get("ServerVersion") and not errors:
        return info
    last = next((line for line in reversed(ran.output.splitlines()) if line.strip()), "")
    said = str(errors[0]) if isinstance(errors, list) and errors else last
    if ran.code is None:
        said = f"docker info did not end within {ASKING:.0f} s"
    cure = "systemctl start docker"
    if "permission denied" in said.lower():
        cure = "run entrepot doctor as root, or as a user of the group docker"
    sentence = "the docker daemon does not say what it has"
    return Cause(NO_DAEMON, sentence, (shorten(said) or "docker info printed nothing",), cure)


def _read_object(output: str) -> Mapping[str, Any]:
    """Return the object of JSON in an output; warnings and errors may stand around it."""
    try:
        found, _ = json.JSONDecoder().raw_decode(output, max(0, output.find("{")))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
