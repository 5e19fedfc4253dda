"""Images cross a gap in a bundle, and clients without any network pull them by their own names."""

from __future__ import annotations

import asyncio
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients import engines, programs
from tests.clients.conftest import require
from tests.clients.pullers import Ctr, Docker, Podman, Puller
from tests.clients.site import HUB, IMAGES, SIGNED, Site
from tests.fakes.client import ask
from tests.harness.depot import open_depot
from tests.harness.island import Island, enter_island
from tests.harness.mirror import MirrorProcess
from tests.harness.parcels import BundleProcess, plan, write_tar, write_volumes

pytestmark = pytest.mark.timeout(600)

HOST = "127.0.0.1:5000"  # on an island every port is free
WAYS = ("served from a file", "served from volumes", "imported")
VOLUME = 512 * 1024  # bytes; some layers are larger


@dataclass(frozen=True)
class Cargo:
    """What crosses the gap."""

    file: Path
    volumes: list[Path]


@dataclass(frozen=True)
class FarSide:
    """Clients on an island, and what the connected side sent."""

    island: Island
    cargo: Cargo
    pullers: tuple[Puller, ...]
    folder: Path


@pytest.fixture(scope="module")
def cargo(running_site: Site, folder: Path) -> Cargo:
    """Everything that the mirror of the connected side has pulled, as a file and as volumes."""
    running_site.warm()
    names = [*map(str, IMAGES), f"{HUB}/{SIGNED}:{running_site.signed.tag}"]
    place = folder / "cargo"
    place.mkdir()

    async def pack() -> Cargo:
        async with open_depot(running_site.mirror.data) as depot:
            planned = await plan(depot, names)
            file = await write_tar(depot, planned, place / "images.tar")
            return Cargo(file, await write_volumes(depot, planned, place, VOLUME))

    return asyncio.run(pack())


@pytest.fixture(scope="module")
def far_side(cargo: Cargo, folder: Path) -> Iterator[FarSide]:
    require(programs.missing("docker", "dockerd", "containerd", "ctr", "runc", as_root=True))
    require(programs.missing("podman", "ip", as_root=True))
    place = folder / "far"
    place.mkdir()
    for name in ("docker", "ctr", "podman"):
        (place / f"{name}-home").mkdir()
    with ExitStack() as stack:
        island = stack.enter_context(enter_island())
        containerd = stack.enter_context(engines.run_containerd(place / "c"))
        socket_ = stack.enter_context(
            engines.run_dockerd(place / "d", containerd, f"http://{HOST}")
        )
        docker = Docker(place / "docker-home", socket_, HOST)
        ctr = Ctr(place / "ctr-home", containerd, HOST)
        yield FarSide(island, cargo, (docker, ctr, Podman(place / "podman-home", HOST)), place)


def start(far_side: FarSide, way: str, folder: Path) -> MirrorProcess:
    """Start what clients pull from."""
    bundle = [far_side.cargo.file] if "file" in way else far_side.cargo.volumes
    if "served" in way:
        return BundleProcess(folder / "served", bundle).start(f"--listen={HOST}")
    mirror = MirrorProcess(
        folder / "mirror",
        {"docker.io": "https://registry-1.docker.io", "ghcr.io": "https://ghcr.io"},
        {"server": {"listen": HOST}},
    )
    mirror.start("--offline")
    done = mirror.run("bundle", "import", *map(str, bundle))
    assert done.returncode == 0, done.stderr
    return mirror


@pytest.mark.parametrize("way", WAYS)
def test_clients_pull_where_no_network_goes(
    far_side: FarSide, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """docker, containerd and podman run every image by its own name; nothing tries to leave.

    That is counted by the kernel for all processes there; and a trace of ours shows no connection.
    dockerd alone looks up the names of registries before it asks its mirror, as it always does.
    """
    trace, island = watch(tmp_path, monkeypatch), far_side.island
    callers = island.count_callers()
    with closing_by_force(start(far_side, way, tmp_path)) as source:
        monkeypatch.undo()
        for puller in far_side.pullers:
            puller.forget()
            before = island.count_attempts()
            for image in IMAGES:
                puller.pull(image)
                assert image.message == puller.read(image), puller.name
            assert island.count_attempts() == before or puller.name == "docker"
        tags = f"{source.url}/v2/{SIGNED}"
        signed = ask(f"{tags}/manifests/1.0").headers["Docker-Content-Digest"]
        assert b"application/x.signature" in ask(f"{tags}/referrers/{signed}").body
    assert island.count_callers() == callers
    assert "sa_family=AF_INET" not in trace.read_text()


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
    options = f"-f -qq --seccomp-bpf -e trace=connect -o {noted}"
    wrapper.write_text(f'#!/bin/sh\nexec {strace} {options} {sys.executable} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(wrapper))
    return noted


@pytest.mark.parametrize("address", [("192.0.2.1", 443), ("127.0.0.1", 9), ("2001:db8::1", 443)])
def test_an_attempt_would_be_counted(far_side: FarSide, address: tuple[str, int]) -> None:
    """The proof above proves something: who tries to reach another host is counted."""
    before = far_side.island.count_attempts()
    with suppress(OSError):
        socket.create_connection(address, 5).close()
    assert far_side.island.count_attempts() > before
