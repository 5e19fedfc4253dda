"""What goes wrong between a client and a mirror, each made on purpose."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.clients import images
from tests.clients.site import HELLO, HUB
from tests.fakes.upstream import FakeUpstream
from tests.harness.commands import run_command
from tests.harness.mirror import MirrorProcess

# Gets an empty folder and an address of this machine; gives the name of an image whose pull fails.
Trouble = Callable[[Path, str], AbstractContextManager[str]]


@contextmanager
def run_mirror(
    folder: Path, settings: Mapping[str, Any] | None = None, **table: object
) -> Iterator[tuple[FakeUpstream, MirrorProcess]]:
    """Start a mirror of a hub with one image; `table` has more settings of this upstream."""
    with FakeUpstream() as hub:
        images.publish(hub, HELLO)
        upstream = {"endpoints": [hub.url], **table}
        with MirrorProcess(folder / "mirror", {HUB: upstream}, settings, workers=1) as mirror:
            yield hub, mirror


def _listen(address: str, **server: str) -> dict[str, Any]:
    return {"server": {"listen": f"{address}:0", **server}}


def _name(mirror: MirrorProcess, image: object, address: str = "127.0.0.1") -> str:
    return f"{address}:{mirror.url.rpartition(':')[2]}/{image}"


@contextmanager
def plain_http(folder: Path, address: str) -> Iterator[str]:
    """The mirror speaks plain HTTP, and nobody has told the client."""
    with run_mirror(folder, _listen(address)) as (_, mirror):
        yield _name(mirror, HELLO, address)


@contextmanager
def unknown_authority(folder: Path, address: str) -> Iterator[str]:
    """The authority of the mirror's certificate is not known to the client."""
    with _run_with_tls(folder, address, address) as name:
        yield name


@contextmanager
def other_name(folder: Path, address: str) -> Iterator[str]:
    """The certificate of the mirror is for another name than the one in the image's name."""
    with _run_with_tls(folder, address, "mirror.lan") as name:
        yield name


@contextmanager
def _run_with_tls(folder: Path, address: str, host: str) -> Iterator[str]:
    tls = folder / "tls"
    done = run_command("tls", "self-signed", "--host", host, "--out", str(tls))
    assert done.returncode == 0, done.stderr
    pair = {"tls_cert": str(tls / "server.crt"), "tls_key": str(tls / "server.key")}
    with run_mirror(folder, _listen(address, **pair)) as (_, mirror):
        yield _name(mirror, HELLO, address)


@contextmanager
def not_running(folder: Path, address: str) -> Iterator[str]:
    """No mirror listens there."""
    yield f"{address}:9/{HELLO}"


@contextmanager
def no_answer(folder: Path, address: str) -> Iterator[str]:
    """Nothing answers there, as behind a firewall: the queue of connections is full."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server((address, 0), backlog=0))
        for _ in range(4):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        yield f"{address}:{server.getsockname()[1]}/{HELLO}"


@contextmanager
def no_such_tag(folder: Path, address: str) -> Iterator[str]:
    """The registry does not have the tag."""
    with run_mirror(folder) as (_, mirror):
        yield _name(mirror, f"{HUB}/library/entrepot-hello:2.0")


@contextmanager
def no_such_repository(folder: Path, address: str) -> Iterator[str]:
    """Docker Hub does not have the repository, or it is private: it does not say which."""
    with run_mirror(folder) as (hub, mirror):
        hub.hub_style_unknown = True
        yield _name(mirror, f"{HUB}/acme/app:1.0")


@contextmanager
def not_configured(folder: Path, address: str) -> Iterator[str]:
    """The mirror has no upstream for the registry."""
    with run_mirror(folder) as (_, mirror):
        yield _name(mirror, "registry.corp.lan/team/app:1.0")


@contextmanager
def not_allowed(folder: Path, address: str) -> Iterator[str]:
    """The settings of the upstream do not let the image be mirrored."""
    with run_mirror(folder, deny=["library/*"]) as (_, mirror):
        yield _name(mirror, HELLO)


@contextmanager
def no_login(folder: Path, address: str) -> Iterator[str]:
    """The mirror is for users, and the client has not logged in."""
    with run_mirror(folder, {"access": {"mode": "users", "login_hosts": ["127.0.0.1"]}}) as (
        _,
        mirror,
    ):
        yield _name(mirror, HELLO)


@contextmanager
def upstream_down(folder: Path, address: str) -> Iterator[str]:
    """The mirror does not reach the registry, and does not have the image."""
    with run_mirror(folder) as (hub, mirror):
        hub.stop()
        yield _name(mirror, HELLO)


@contextmanager
def upstream_throttles(folder: Path, address: str) -> Iterator[str]:
    """The registry answers the mirror that its pull limit is reached."""
    with run_mirror(folder) as (hub, mirror):
        hub.pulls_left = 0
        yield _name(mirror, HELLO)


@contextmanager
def offline(folder: Path, address: str) -> Iterator[str]:
    """The mirror asks no upstream, and does not have the image."""
    with run_mirror(folder, {"offline": True}) as (_, mirror):
        yield _name(mirror, HELLO)


@contextmanager
def pull_limit(folder: Path, address: str) -> Iterator[str]:
    """The client asks the registry itself, whose pull limit is reached."""
    with FakeUpstream() as hub:
        images.publish(hub, HELLO)
        hub.pulls_left = 0
        yield f"{hub.host}/{HELLO.repository}:{HELLO.tag}"


@contextmanager
def large_image(folder: Path, address: str) -> Iterator[str]:
    """The image needs more space than the small disk of the client has."""
    with run_mirror(folder) as (hub, mirror):
        text = random.Random(1).randbytes(8 * 1024**2).hex()
        image = images.build_message(HUB, "library/entrepot-large", text, media="docker")
        images.publish(hub, image)
        yield _name(mirror, image)
