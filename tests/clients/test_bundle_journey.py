"""Images cross a gap in a bundle, and clients without any network pull them by their own names.

On one machine: the far side is a network namespace that has no route at all.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients import bundled_images, engines, programs
from tests.clients.bundled_images import SIGNED, BundledImages, succeed
from tests.clients.conftest import require
from tests.clients.images import Image
from tests.clients.pullers import Ctr, Docker, Podman, Puller
from tests.fakes.client import ask
from tests.harness.bundle_files import BundleProcess
from tests.harness.closed_network import ClosedNetwork, enter_closed_network
from tests.harness.commands import run_program
from tests.harness.mirror import MirrorProcess

pytestmark = [pytest.mark.timeout(600), pytest.mark.programs]

HOST = "127.0.0.1:5000"  # in a closed network every port is free
IMPORTED, FILE = "imported", "served from a file"
SERVED = ("served from volumes", FILE)
ALL = slice(None)
A_FEW = slice(1, 4)  # an index, and the two tools that differ in nothing but their registry


@dataclass(frozen=True)
class OfflineSide:
    """Clients in a closed network, and the bundle that was brought there."""

    network: ClosedNetwork
    bundled: BundledImages
    pullers: tuple[Puller, ...]


@pytest.fixture(scope="module")
def packed(folder: Path) -> BundledImages:
    """What the connected side sends; it has ended, with its registries, before anybody pulls."""
    require(programs.missing("busybox", "openssl"))
    place = folder / "packed"
    place.mkdir()
    return bundled_images.pack(place)


@pytest.fixture(scope="module")
def offline_side(packed: BundledImages, folder: Path) -> Iterator[OfflineSide]:
    require(programs.missing("docker", "dockerd", "containerd", "ctr", "runc", as_root=True))
    require(programs.missing("podman", "ip", as_root=True))
    place = folder / "far"
    place.mkdir()
    for name in ("docker", "ctr", "podman"):
        (place / f"{name}-home").mkdir()
    with ExitStack() as stack:
        network = stack.enter_context(enter_closed_network())
        containerd = stack.enter_context(engines.run_containerd(place / "c"))
        socket_ = stack.enter_context(
            engines.run_dockerd(place / "d", containerd, f"http://{HOST}")
        )
        docker = Docker(place / "docker-home", socket_, HOST)
        ctr = Ctr(place / "ctr-home", containerd, HOST)
        yield OfflineSide(network, packed, (docker, ctr, Podman(place / "podman-home", HOST)))


def start(sent: BundledImages, way: str, folder: Path) -> MirrorProcess:
    """Do what docs/airgap.md says of the other side; give what clients pull from.

    `run_program` starts each command anew: forked, it would be in the network of the fork server.
    """
    key = f"--key={sent.key}"
    assert f"signed by {sent.key.name}" in succeed(
        run_program("bundle", "verify", key, str(sent.disk))
    )
    if way == IMPORTED:
        return load(sent, folder)
    bundle = sent.disk
    if way == FILE:
        bundle = folder / "images.tar"
        succeed(run_program("bundle", "join", str(sent.disk), "-o", str(bundle)))
    return BundleProcess(folder / "served", [bundle]).start(f"--listen={HOST}", key)


def load(sent: BundledImages, folder: Path) -> MirrorProcess:
    """Start a mirror that takes only what this key signed, and import all volumes into it."""
    mirror = MirrorProcess(
        folder / "mirror",
        {"docker.io": "https://registry-1.docker.io", "ghcr.io": "https://ghcr.io"},
        {
            "server": {"listen": HOST},
            "bundles": {"keys": [str(sent.key)], "require_signature": True},
        },
    )
    mirror.start("--offline")
    command = ("bundle", "import", str(sent.disk), "--config", str(mirror.config), "--json")
    report = json.loads(succeed(run_program(*command)))
    assert (report["whole"], report["signer"]) == (True, sent.key.name)
    assert set(map(str, sent.images)) <= set(report["images"])
    return mirror


def test_a_journey_wants_several_volumes(packed: BundledImages) -> None:
    """Ten images of two registries are on the disk, in volumes, one layer cut over some."""
    volumes = sorted(packed.disk.glob("*.tar"))
    largest = max(len(blob) for image in packed.images for blob in image.blobs)
    assert len(packed.images) == 10
    assert len(volumes) > 2
    assert largest > max(volume.stat().st_size for volume in volumes)


@pytest.mark.parametrize(
    ("way", "chosen"),
    [
        (IMPORTED, A_FEW),
        (IMPORTED, ALL),
        *((way, A_FEW) for way in SERVED),
    ],
)
def test_clients_pull_where_no_network_goes(
    offline_side: OfflineSide,
    way: str,
    chosen: slice,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """docker, containerd and podman run images by their own names; nothing tries to leave.

    That is counted by the kernel for all processes there; and a trace of every process of ours, of
    the commands as of the servers, shows no connection.
    """
    network, sent = offline_side.network, offline_side.bundled
    trace = watch(tmp_path, monkeypatch)
    callers, attempts = network.count_callers(), network.count_attempts()
    with closing_by_force(start(sent, way, tmp_path)) as source:
        monkeypatch.undo()
        assert network.count_attempts() == attempts
        for puller in offline_side.pullers:
            run_all(puller, sent.images[chosen], network)
        for image in sent.images:
            assert find_missing(source, image) == []
        found = ask(f"{source.url}/v2/{SIGNED.repository}/referrers/{SIGNED.digest}")
        assert bundled_images.SIGNATURE.encode() in found.body
    assert network.count_callers() == callers
    assert "sa_family=AF_INET" not in trace.read_text()


def run_all(puller: Puller, images: tuple[Image, ...], network: ClosedNetwork) -> None:
    """Pull and run images, and see that nothing was without a route meanwhile."""
    puller.forget()
    before = network.count_attempts()
    for image in images:
        puller.pull(image)
        assert image.message == puller.read(image), puller.name
    # Not of docker: `docker pull` of an image of Docker Hub is counted. Seen under strace, of one
    # pull that counted four: dockerd called connect() four times for port 53 of the machine's name
    # server, and otherwise only for its mirror. The names it would have looked up were not seen.
    # One image by the mirror's own address, and `docker run`, counted nothing.
    assert network.count_attempts() == before or puller.name == "docker"


def find_missing(source: MirrorProcess, image: Image) -> list[str]:
    """What of an image cannot be had by its name, of all its platforms."""
    base = f"{source.url}/v2/{image.registry}/{image.repository}"
    paths = [f"blobs/{digest}" for digest in sorted(image.blob_digests)]
    paths += [f"manifests/{manifest.digest}" for manifest in image.manifests]
    return [path for path in paths if ask(f"{base}/{path}", method="HEAD").status != 200]


@contextmanager
def closing_by_force(source: MirrorProcess) -> Iterator[MirrorProcess]:
    """Kill it at the end: a signal would end strace, and leave what it traces alone."""
    try:
        yield source
    finally:
        source.kill()


def watch(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have what is started from now on run under strace, which notes every connect()."""
    strace = shutil.which("strace")
    require("" if strace else "strace is not installed")
    noted, wrapper = folder / "trace", folder / "traced-python"
    # Appended to, as several commands write it, one after the other and side by side.
    options = f"-f -A -qq --seccomp-bpf -e trace=connect -o {noted}"
    wrapper.write_text(f'#!/bin/sh\nexec {strace} {options} {sys.executable} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(wrapper))
    return noted


ELSEWHERE = [("192.0.2.1", 443), ("127.0.0.1", 9), ("2001:db8::1", 443)]


@pytest.mark.parametrize("address", ELSEWHERE)
def test_an_attempt_would_be_seen(
    offline_side: OfflineSide,
    address: tuple[str, int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The proof above proves something: who tries to reach another host is counted, and traced."""
    trace, before = watch(tmp_path, monkeypatch), offline_side.network.count_attempts()
    attempt = f"import socket; socket.create_connection({address}, 5)"
    subprocess.run([sys.executable, "-c", attempt], capture_output=True, timeout=60, check=False)
    assert offline_side.network.count_attempts() > before
    assert "sa_family=AF_INET" in trace.read_text()
