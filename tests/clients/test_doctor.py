"""`entrepot doctor` with real clients: the proof, and causes that they really have."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.clients import engines, pointed, programs
from tests.clients.conftest import build, make_home, require
from tests.clients.engines import Engine
from tests.clients.pullers import Podman
from tests.clients.site import HUB, Site
from tests.fakes.upstream import FakeUpstream
from tests.harness.commands import clean_environment, run_command
from tests.harness.daemons import isolate
from tests.harness.mirror import MirrorProcess

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def place(folder: Path) -> Path:
    """A folder with a short name for each test."""
    return Path(tempfile.mkdtemp(prefix="e", dir=folder))


def examine(
    mirror: MirrorProcess, client: str, environment: Mapping[str, str], *words: str
) -> dict[str, Any]:
    """Return the first finding about a client, with the exit code."""
    done = run_command(
        "doctor",
        "--mirror",
        mirror.url,
        "--client",
        client,
        "--json",
        *words,
        environment={**clean_environment(), **environment},
    )
    assert done.stdout, done.stderr
    found = json.loads(done.stdout)["clients"]
    assert found[0]["state"] == "ok"  # the mirror itself
    return {**found[1], "code": done.returncode}


def count_asked(site: Site) -> int:
    return sum(len(each.journal) for each in site.upstreams.values())


def test_dockerd_uses_its_mirror(running_site: Site, dockerd: Path, place: Path) -> None:
    """The mirror has seen dockerd, and has asked no upstream."""
    asked = count_asked(running_site)
    environment = isolate(place) | {"DOCKER_HOST": f"unix://{dockerd}"}
    found = examine(running_site.mirror, "docker", environment)

    assert (found["code"], found["state"]) == (0, "ok")
    assert any("with docker/" in line for line in found["evidence"])
    assert count_asked(running_site) == asked


def test_dockerd_does_not_use_another_mirror(dockerd: Path, place: Path) -> None:
    """It is not seen there, and lists the one that it uses."""
    environment = isolate(place) | {"DOCKER_HOST": f"unix://{dockerd}"}
    with FakeUpstream() as hub, MirrorProcess(place / "other", {HUB: hub.url}) as other:
        found = examine(other, "docker", environment, "--root", str(place))
        assert not hub.journal
    assert (found["code"], found["state"]) == (1, "fail")
    assert "docker lists other mirrors, but not this one" in found["sentence"]
    assert "entrepot setup docker" in found["cure"]


def test_ctr_uses_the_folder_of_containerd(
    running_site: Site, containerd: Path, place: Path
) -> None:
    """With the right name of the folder it is seen, and with a wrong one it is not."""
    mirror, root = running_site.mirror, place / "root"
    environment = isolate(place) | {"CONTAINERD_ADDRESS": str(containerd)}
    environment["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"
    file = pointed.write("nerdctl", root, mirror.url)
    config = root / "etc/containerd/config.toml"
    config.write_text('version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n')
    found = examine(mirror, "containerd", environment, "--root", str(root))
    assert (found["code"], found["state"]) == (0, "ok"), found

    wrong = file.parent.with_name("registry-1.docker.io")
    file.parent.rename(wrong)
    found = examine(mirror, "containerd", environment, "--root", str(root))
    assert (found["code"], found["state"]) == (1, "fail")
    assert "has to be called docker.io" in found["sentence"]


class ExaminedPodman(Podman):
    """A podman whose settings the doctor finds in the environment too."""

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead to its settings."""
        return self._environment

    def accept_unsigned(self) -> None:
        """Write the policy where podman looks for it without an option."""
        home = Path(self._environment["HOME"]) / ".config/containers"
        home.mkdir(parents=True)
        (home / "policy.json").write_text(self._policy.read_text())


@pytest.fixture
def examined_podman(podman: Podman, running_site: Site, place: Path) -> ExaminedPodman:
    """A podman of its own, for which nothing is missing."""
    del podman  # it skips where there is none
    made = ExaminedPodman(make_home(place, "podman"), running_site.mirror.host)
    made.accept_unsigned()
    return made


def test_podman_uses_the_mirror(running_site: Site, examined_podman: ExaminedPodman) -> None:
    """It asks for the tag, and is seen by its own name."""
    found = examine(running_site.mirror, "podman", examined_podman.environment)
    assert (found["code"], found["state"]) == (0, "ok"), found
    assert any("with " in line and "containers" in line for line in found["evidence"])


def test_podman_that_asks_by_tls_says_so(
    running_site: Site, examined_podman: ExaminedPodman
) -> None:
    """Without `insecure`, the mirror is not asked."""
    file = examined_podman.registries
    file.write_text(file.read_text().replace("insecure = true\n", ""))
    found = examine(running_site.mirror, "podman", examined_podman.environment)
    assert (found["code"], found["state"]) == (1, "fail")
    assert "asks the mirror by TLS" in found["sentence"]
    assert "insecure = true" in found["cure"]


@pytest.fixture
def recent_engine() -> Engine:
    """Docker 29 with containerd 2."""
    require(programs.missing(as_root=True))
    return Engine(engines.CONTAINERD_2, *map(build, engines.PROGRAMS))


def offer(place: Path, **found: str) -> str:
    """Return a PATH whose first folder has these programs by these names."""
    folder = place / "bin"
    folder.mkdir()
    for name, path in found.items():
        (folder / name).symlink_to(path)
    return f"{folder}:/usr/bin:/bin"


def test_docker_29_uses_the_mirror_for_every_registry(
    running_site: Site, recent_engine: Engine, place: Path
) -> None:
    """By the file that counts with the containerd store, and not by registry-mirrors."""
    mirror, root = running_site.mirror, place / "root"
    pointed.write("docker-29", root, mirror.url)
    path = offer(place, docker=recent_engine.docker)
    with (
        engines.run_with_etc(root / "etc") as under,
        engines.run_recent(place / "e", recent_engine, (), under) as (_, socket),
    ):
        environment = isolate(place) | {"DOCKER_HOST": f"unix://{socket}", "PATH": path}
        for words in ((), ("--probe", "ghcr.io/team/app")):
            found = examine(mirror, "docker", environment, "--root", str(root), *words)
            assert (found["code"], found["state"]) == (0, "ok"), found


def test_buildkit_uses_the_mirror(running_site: Site, recent_engine: Engine, place: Path) -> None:
    """It asks for the base image of a build."""
    mirror = running_site.mirror
    configuration = pointed.write("buildkit", place / "root", mirror.url)
    built = (build("buildkitd"), build("buildctl"))
    path = offer(place, buildctl=built[1])
    with (
        engines.run_containerd(place / "c", recent_engine) as containerd,
        engines.run_buildkitd(place / "b", containerd, configuration, built) as socket,
    ):
        environment = isolate(place) | {"BUILDKIT_HOST": f"unix://{socket}", "PATH": path}
        found = examine(mirror, "buildkit", environment, "--root", str(place / "root"))
    assert (found["code"], found["state"]) == (0, "ok"), found
