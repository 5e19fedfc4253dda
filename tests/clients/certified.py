"""A mirror over TLS whose users are known by certificates, and clients that have one.

All is made by `entrepot tls`, and laid out as it says.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.clients import images
from tests.clients.images import Image
from tests.clients.programs import place_of
from tests.clients.pullers import Ctr, Docker, Podman
from tests.clients.site import HUB
from tests.fakes.upstream import FakeUpstream
from tests.harness.commands import run_command
from tests.harness.daemons import finish, isolate
from tests.harness.mirror import MirrorProcess

RULES = [{"who": ["alice"], "allow": ["docker.io/team/*"]}]
USERS = ("alice", "bob")


@dataclass(frozen=True)
class CertifiedSite:
    """The mirror, the folder of its authority, and the one where clients look for certificates."""

    hub: FakeUpstream
    mirror: MirrorProcess
    address: str
    authority: Path
    certificates: Path

    @property
    def host(self) -> str:
        """The address from which clients pull, as host:port."""
        return f"{self.address}:{self.mirror.url.rpartition(':')[2]}"

    @property
    def place(self) -> Path:
        """The folder of the mirror's host, in the form of `/etc/docker/certs.d`."""
        return self.certificates / self.host

    def lay_out(self, name: str, *, has_authority: bool = True) -> None:
        """Give all clients the certificate of this name, or none; and `ca.crt`."""
        shutil.rmtree(self.place, ignore_errors=True)
        self.place.mkdir(parents=True)
        if has_authority:
            shutil.copy(self.authority / "ca.crt", self.place / "ca.crt")
        for suffix in (".cert", ".key") if name else ():
            source = self.authority / "clients" / f"{name}{suffix}"
            shutil.copy(source, self.place / f"client{suffix}")

    def publish(self, name: str) -> Image:
        """Make an image that no other test asks for."""
        image = images.build_message(HUB, f"team/{name}", f"for {name}", media="docker")
        images.publish(self.hub, image)
        return image

    def list_manifests(self, image: Image) -> set[tuple[str, int]]:
        """Return who has asked for manifests of an image, with the statuses of the answers."""
        return {
            (str(line.get("user", "")), int(line["status"]))
            for line in self.mirror.events("request")
            if f"/{image.repository}/manifests/" in line["path"]
        }


@contextmanager
def running(folder: Path, address: str) -> Iterator[CertifiedSite]:
    """Start a mirror that listens on an address of this machine."""
    authority = folder / "tls"
    _make("self-signed", "--host", address, "--out", str(authority))
    for name in USERS:
        _make("client", name, "--out", str(authority))
    server = {"tls_cert": "server.crt", "tls_key": "server.key", "client_ca": "ca.crt"}
    settings = {
        "server": {
            "listen": f"{address}:0",
            **{key: str(authority / name) for key, name in server.items()},
        },
        "access": {"mode": "users", "rules": RULES},
    }
    with FakeUpstream() as hub:
        mirror = MirrorProcess(folder / "mirror", {HUB: hub.url}, settings)
        with mirror:
            for name in USERS:
                assert not mirror.run("users", "add", name, "--no-password").returncode
            yield CertifiedSite(hub, mirror, address, authority, folder / "certs.d")


def _make(*arguments: str) -> None:
    done = run_command("tls", *arguments)
    assert done.returncode == 0, done.stderr


class CertifiedClient(Protocol):
    """A client that finds its certificates in `CertifiedSite.place`."""

    def pull(self, image: Image) -> None:
        """Pull the image; AssertionError with the client's own words when it cannot."""


def write_hosts(path: Path, site: CertifiedSite) -> None:
    """Write a `hosts.toml` that leads to the mirror only, with the certificates that are there."""
    url = f"https://{site.host}"
    trust = [f'ca = "{site.place}/ca.crt"'] if (site.place / "ca.crt").exists() else []
    if (site.place / "client.cert").exists():
        pair = [str(site.place / "client.cert"), str(site.place / "client.key")]
        trust.append(f"client = [{json.dumps(pair)}]")
    lines = [f'server = "{url}"', *trust, f'[host."{url}"]']
    lines += ['  capabilities = ["pull", "resolve"]', *trust]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines))


class CertifiedCtr:
    """`ctr` with `ca` and `client` in `hosts.toml`."""

    def __init__(self, folder: Path, socket: Path, site: CertifiedSite) -> None:
        self._site = site
        self._ctr = Ctr(folder, socket, site.host, [HUB])

    def pull(self, image: Image) -> None:
        """Pull it, with what is there now."""
        write_hosts(self._ctr.hosts_file(image), self._site)
        self._ctr.forget()
        self._ctr.pull(image)


class CertifiedPodman:
    """`podman pull --cert-dir`, which takes the place of `/etc/containers/certs.d`."""

    def __init__(self, folder: Path, site: CertifiedSite) -> None:
        self._site = site
        self._podman = Podman(folder, site.host, [HUB])
        text = self._podman.registries.read_text()
        self._podman.registries.write_text(text.replace("insecure = true", "insecure = false"))

    def pull(self, image: Image) -> None:
        """Pull it, with what is there now."""
        self._podman.forget()
        self._podman.pull(image, f"--cert-dir={self._site.place}")


class CertifiedSkopeo:
    """`skopeo copy --src-cert-dir`."""

    def __init__(self, folder: Path, site: CertifiedSite) -> None:
        self._site = site
        self._folder = folder

    def pull(self, image: Image) -> None:
        """Copy it, with what is there now."""
        copy = self._folder / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        options = ("--insecure-policy", "copy", f"--src-cert-dir={self._site.place}")
        source = f"docker://{self._site.host}/{image}"
        finish([place_of("skopeo"), *options, source, f"dir:{copy}"], isolate(self._folder))


class CertifiedDocker:
    """`docker` with the mirror in `registry-mirrors`, and a `/etc/docker/certs.d` of its own."""

    def __init__(self, folder: Path, socket: Path, site: CertifiedSite) -> None:
        self._docker = Docker(folder, socket, site.host)

    def pull(self, image: Image) -> None:
        """Pull it, with what is there now."""
        self._docker.forget()
        self._docker.pull(image)


class CertifiedDocker29:
    """Docker 29 with `_default/hosts.toml` in a `/etc/docker/certs.d` of its own."""

    def __init__(self, folder: Path, socket: Path, program: str, site: CertifiedSite) -> None:
        self._docker = Docker(folder, socket, site.host, program)
        self._site = site

    def pull(self, image: Image) -> None:
        """Pull it, with what is there now."""
        write_hosts(self._site.certificates / "_default" / "hosts.toml", self._site)
        self._docker.forget()
        self._docker.pull(image)

    def pull_by_registry_mirrors(self, image: Image) -> None:
        """Pull it without `hosts.toml`."""
        shutil.rmtree(self._site.certificates / "_default", ignore_errors=True)
        self._docker.forget()
        self._docker.pull(image)
