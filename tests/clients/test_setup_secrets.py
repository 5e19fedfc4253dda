"""Real clients trust a mirror with an authority of its own, and have a token, after `setup`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients import engines, images, pointed, programs
from tests.clients.conftest import build, make_home, require
from tests.clients.engines import Engine
from tests.clients.images import Image
from tests.clients.programs import place_of
from tests.clients.site import HUB
from tests.clients.test_setup import SystemPodman
from tests.fakes.upstream import FakeUpstream
from tests.harness.commands import run_command
from tests.harness.daemons import finish, isolate, local_address
from tests.harness.mirror import MirrorProcess

pytestmark = pytest.mark.timeout(300)

RULES = [
    {"who": ["ci"], "allow": ["docker.io/team/*"]},
    {"who": ["anonymous"], "allow": ["docker.io/open/*"]},
]


@dataclass(frozen=True)
class SecureSite:
    """A mirror over TLS that lets a token in, and the options that point a client at it."""

    hub: FakeUpstream
    url: str
    options: tuple[str, ...]

    def publish(self, repository: str) -> Image:
        """Make an image that no other test asks for."""
        image = images.build_message(HUB, repository, f"for {repository}", media="docker")
        images.publish(self.hub, image)
        return image


@pytest.fixture(scope="module")
def secure(folder: Path) -> Iterator[SecureSite]:
    require(programs.missing("ip", as_root=True))
    place = folder / "setup-secrets"
    place.mkdir()
    # dockerd verifies no certificates in 127.0.0.0/8.
    with local_address() as address, FakeUpstream() as hub:
        made = run_command("tls", "self-signed", "--host", address, "--out", str(place / "tls"))
        assert made.returncode == 0, made.stderr
        pair = {"tls_cert": place / "tls" / "server.crt", "tls_key": place / "tls" / "server.key"}
        server = {"listen": f"{address}:0", **{key: str(path) for key, path in pair.items()}}
        settings = {"server": server, "access": {"mode": "users", "rules": RULES}}
        with MirrorProcess(place / "mirror", {HUB: hub.url}, settings) as mirror:
            token = place / "token"
            token.write_text(
                json.loads(mirror.run("tokens", "add", "ci", "--json").stdout)["token"]
            )
            options = ("--ca", str(place / "tls" / "ca.crt"), "--token-file", str(token))
            url = f"https://{address}:{mirror.url.rpartition(':')[2]}"
            yield SecureSite(hub, url, options)


def test_ctr_has_both(secure: SecureSite, containerd: Path, folder: Path) -> None:
    """The certificate by its path in `hosts.toml`, and the token as a header."""
    image, place = secure.publish("team/for-ctr"), make_home(folder, "ctr-secrets")
    pointed.write("nerdctl", place / "root", secure.url, *secure.options)
    ctr = [place_of("ctr"), "--address", str(containerd), "--namespace", "setup-secrets"]
    pull = [*ctr, "images", "pull", "--hosts-dir", "/etc/containerd/certs.d", str(image)]
    with engines.run_with_etc(place / "root" / "etc") as under:
        finish([*under, *pull], isolate(place))
    finish([*ctr, "images", "remove", "--sync", str(image)], isolate(place))


@pytest.mark.parametrize("client", ["docker", "docker-29"])
def test_docker_29_has_both(secure: SecureSite, folder: Path, client: str) -> None:
    """By `registry-mirrors` with the token in the path, and by `hosts.toml`."""
    require(programs.missing(as_root=True))
    image, place = secure.publish(f"team/for-{client}"), make_home(folder, f"{client}-secrets")
    engine = Engine(engines.CONTAINERD_2, *map(build, engines.PROGRAMS))
    file = pointed.write(client, place / "root", secure.url, *secure.options)
    mirrors = json.loads(file.read_text())["registry-mirrors"] if client == "docker" else ()
    with (
        engines.run_with_etc(place / "root" / "etc") as under,
        engines.run_recent(place / "e", engine, mirrors, under) as (_, socket),
    ):
        environment = isolate(place) | {"DOCKER_HOST": f"unix://{socket}"}
        finish([engine.docker, "pull", str(image)], environment)


def test_podman_trusts_the_authority(secure: SecureSite, folder: Path) -> None:
    """It takes no token from its file, so it pulls what everybody may."""
    require(programs.missing("podman", "runc", as_root=True))
    image, place = secure.publish("open/for-podman"), make_home(folder, "podman-secrets")
    pointed.write("podman", place / "root", secure.url, *secure.options)
    with engines.run_with_etc(place / "root" / "etc") as under:
        SystemPodman(make_home(folder, "podman-secure"), under).pull(image)
