"""Real clients pull through the mirror after `entrepot setup --write`, and not after `--undo`.

No registry can be reached but through the mirror: a pull that works came from there.
"""

from __future__ import annotations

import json
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients import engines, pointed, programs
from tests.clients.conftest import build, make_home, require
from tests.clients.engines import Engine
from tests.clients.programs import place_of
from tests.clients.pullers import Docker, Podman
from tests.clients.signature_tools import BuildKit
from tests.clients.site import GITHUB_TOOL, HELLO, Site
from tests.harness.daemons import bridge, finish, isolate
from tests.harness.deadline import await_truth

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def place(folder: Path) -> Path:
    """A folder with a short name for each test: a socket has a path of about 100 bytes."""
    return Path(tempfile.mkdtemp(prefix="s", dir=folder))


def test_dockerd_reads_it_after_a_reload(running_site: Site, containerd: Path, place: Path) -> None:
    """The settings that it had before stay. It forgets the mirror only when it is restarted."""
    require(programs.missing("docker", "dockerd", "ip", as_root=True))
    root, home, mirror = place / "root", place / "d", running_site.mirror
    file = root / "etc/docker/daemon.json"
    file.parent.mkdir(parents=True)
    home.mkdir()
    docker = Docker(make_home(place, "docker"), home / "d.sock", mirror.host)
    with bridge() as network:
        settings = engines.place_dockerd(home, containerd) | {"bridge": network}
        file.write_text(json.dumps(settings, indent=2))
        before = file.read_bytes()
        with engines.start_dockerd(home, file) as (_, pid):
            assert file == pointed.write("docker", root, mirror.url)
            os.kill(pid, signal.SIGHUP)
            await_truth(lambda: mirror.url in list_mirrors(docker))
            docker.pull(HELLO)
            assert docker.read(HELLO) == HELLO.message
            docker.forget()

            pointed.undo("docker", root)
            assert before == file.read_bytes()
            reloads = count_reloads(home / "log")
            os.kill(pid, signal.SIGHUP)
            await_truth(lambda: count_reloads(home / "log") > reloads)
            assert mirror.url in list_mirrors(docker)

        with engines.start_dockerd(home, file):
            assert mirror.url not in list_mirrors(docker)
            with pytest.raises(AssertionError):
                docker.pull(HELLO)


def count_reloads(log: Path) -> int:
    """Return how often dockerd has read its settings again."""
    return log.read_text().count("Reloaded configuration")


def list_mirrors(docker: Docker) -> str:
    """Return what the check says that the command prints."""
    return docker.docker("info", "--format", "{{.RegistryConfig.Mirrors}}")


@pytest.fixture
def recent_engine() -> Engine:
    """Docker 29 with containerd 2."""
    require(programs.missing(as_root=True))
    return Engine(engines.CONTAINERD_2, *map(build, engines.PROGRAMS))


def test_docker_29_pulls_from_every_registry(
    running_site: Site, recent_engine: Engine, place: Path
) -> None:
    """By one file for all registries, which it reads at each pull."""
    root = place / "root"
    pointed.write("docker-29", root, running_site.mirror.url)
    with (
        engines.run_with_etc(root / "etc") as under,
        engines.run_recent(place / "e", recent_engine, (), under) as (_, socket),
    ):
        environment = isolate(place) | {"DOCKER_HOST": f"unix://{socket}"}
        for image in (HELLO, GITHUB_TOOL):
            finish([recent_engine.docker, "pull", str(image)], environment)


@pytest.mark.parametrize("client", ["containerd", "nerdctl"])
def test_ctr_pulls_from_every_registry(
    running_site: Site, containerd: Path, place: Path, client: str
) -> None:
    """By the folder that is named in the configuration of containerd, too."""
    root = place / "root"
    pointed.write(client, root, running_site.mirror.url)
    hosts = root / "etc/containerd/certs.d"
    ctr = [place_of("ctr"), "--address", str(containerd), "--namespace", f"setup-{client}"]
    for image in (HELLO, GITHUB_TOOL):
        finish([*ctr, "images", "pull", "--hosts-dir", str(hosts), str(image)], isolate(place))
        finish([*ctr, "images", "remove", "--sync", str(image)], isolate(place))
    pointed.undo(client, root)
    with pytest.raises(AssertionError):
        finish([*ctr, "images", "pull", "--hosts-dir", str(hosts), str(HELLO)], isolate(place))


@pytest.fixture(params=["Debian's", "2.x"])
def containerd_program(request: pytest.FixtureRequest) -> str:
    """containerd of both versions."""
    require(programs.missing("containerd"))
    return place_of("containerd") if request.param == "Debian's" else build("containerd")


@pytest.mark.parametrize("version", [0, 2, 3])
def test_containerd_takes_the_folder_for_kubernetes(
    containerd_program: str, place: Path, version: int
) -> None:
    """What containerd makes of its file names the folder, whichever version it was written in."""
    is_old = containerd_program == place_of("containerd")
    if is_old and version == 3:
        return  # containerd 1 does not know this version
    file = place / "root/etc/containerd/config.toml"
    if version:
        file.parent.mkdir(parents=True)
        file.write_text(f'version = {version}\nroot = "{place}"\n')
    pointed.write("containerd", place / "root", "http://10.0.0.5:5000")
    dumped = finish([containerd_program, "--config", str(file), "config", "dump"], isolate(place))
    assert "config_path = '/etc/containerd/certs.d'" in dumped.replace('"', "'")


@pytest.fixture
def system_podman(running_site: Site, place: Path) -> Iterator[tuple[Podman, Path]]:
    """A podman, and the root of which it reads `/etc`."""
    require(programs.missing("podman", "runc", as_root=True))
    root = place / "root"
    pointed.write("podman", root, running_site.mirror.url)
    with engines.run_with_etc(root / "etc") as under:
        yield SystemPodman(make_home(place, "podman"), under), root


class SystemPodman(Podman):
    """A podman that reads `/etc/containers`."""

    def __init__(self, folder: Path, under: list[str]) -> None:
        super().__init__(folder, "")
        del self._environment["CONTAINERS_REGISTRIES_CONF"]
        self._under = under

    def _podman(self, *arguments: str) -> str:
        return finish([*self._under, place_of("podman"), *arguments], self._environment)


def test_podman_pulls_from_every_registry(system_podman: tuple[Podman, Path]) -> None:
    """It finds the file by itself."""
    podman, _ = system_podman
    for image in (HELLO, GITHUB_TOOL):
        podman.pull(image)
        assert podman.read(image) == image.message


def test_buildkit_builds_from_every_registry(
    running_site: Site, recent_engine: Engine, place: Path
) -> None:
    """The images of a build come through the mirror."""
    configuration = pointed.write("buildkit", place / "root", running_site.mirror.url)
    built = (build("buildkitd"), build("buildctl"))
    with (
        engines.run_containerd(place / "c", recent_engine) as containerd,
        engines.run_buildkitd(place / "b", containerd, configuration, built) as socket,
    ):
        buildkit = BuildKit(built[1], make_home(place, "buildctl"), socket)
        for image in (HELLO, GITHUB_TOOL):
            buildkit.pull(image)
