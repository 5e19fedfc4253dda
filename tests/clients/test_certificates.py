"""Each client is known by its certificate, and trusts the mirror by `ca.crt`, as is printed."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.clients import certified, engines, programs
from tests.clients.certified import (
    CertifiedClient,
    CertifiedCtr,
    CertifiedDocker,
    CertifiedDocker29,
    CertifiedPodman,
    CertifiedSite,
    CertifiedSkopeo,
)
from tests.clients.conftest import PULLERS, build, make_home, require
from tests.clients.engines import Engine
from tests.clients.pull_table import PullTable
from tests.harness.daemons import local_address
from tests.harness.deadline import await_truth

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def secure(folder: Path, pull_table: PullTable) -> Iterator[CertifiedSite]:
    require(programs.missing("ip", as_root=True))
    place = folder / "certified"
    place.mkdir()
    with local_address() as address, certified.running(place, address) as site:
        pull_table.logs["the mirror with certificates"] = site.mirror.log_path
        yield site


@pytest.fixture(scope="module")
def docker_home(
    folder: Path, pull_table: PullTable, secure: CertifiedSite
) -> Iterator[tuple[Path, Path]]:
    """The folder of a `docker`, and the socket of its dockerd."""
    require(programs.missing("docker", "dockerd", "containerd", as_root=True))
    secure.certificates.mkdir(exist_ok=True)
    pull_table.logs["dockerd with certificates"] = folder / "certified-d" / "d" / "log"
    with ExitStack() as stack:
        under = stack.enter_context(engines.run_with_certificates(secure.certificates))
        mirrors = [f"https://{secure.host}"]
        opened = engines.run_recent(folder / "certified-d", engines.DEBIAN, mirrors, under)
        _, socket = stack.enter_context(opened)
        yield make_home(folder, "docker-certified"), socket


@pytest.fixture(scope="module")
def docker_29(
    folder: Path, pull_table: PullTable, secure: CertifiedSite
) -> Iterator[CertifiedDocker29]:
    """Docker 29 with containerd 2."""
    require(programs.missing(as_root=True))
    engine = Engine(engines.CONTAINERD_2, *map(build, engines.PROGRAMS))
    secure.certificates.mkdir(exist_ok=True)
    pull_table.logs["dockerd 29 with certificates"] = folder / "certified-29" / "d" / "log"
    with ExitStack() as stack:
        # Another name: what makes `/etc` of its own is a folder beside the one that is named.
        place = folder / "certified-29-certs"
        place.symlink_to(secure.certificates)
        under = stack.enter_context(engines.run_with_certificates(place))
        mirrors = [f"https://{secure.host}"]
        opened = engines.run_recent(folder / "certified-29", engine, mirrors, under)
        _, socket = stack.enter_context(opened)
        home = make_home(folder, "docker-29-certified")
        yield CertifiedDocker29(home, socket, engine.docker, secure)


@pytest.fixture(scope="module", params=(*PULLERS, "docker_29"))
def client(request: pytest.FixtureRequest, folder: Path, secure: CertifiedSite) -> CertifiedClient:
    """Each client in turn."""
    match request.param:
        case "docker":
            return CertifiedDocker(*request.getfixturevalue("docker_home"), secure)
        case "docker_29":
            found: CertifiedDocker29 = request.getfixturevalue("docker_29")
            return found
        case "ctr":
            socket = request.getfixturevalue("containerd")
            return CertifiedCtr(make_home(folder, "ctr-certified"), socket, secure)
        case "podman":
            require(programs.missing("podman", "runc", as_root=True))
            return CertifiedPodman(make_home(folder, "podman-certified"), secure)
    require(programs.missing("skopeo"))
    return CertifiedSkopeo(make_home(folder, "skopeo-certified"), secure)


def test_who_is_allowed_pulls(
    client: CertifiedClient, secure: CertifiedSite, request: pytest.FixtureRequest
) -> None:
    """The mirror knows who it is by nothing but the certificate."""
    image = secure.publish(name_image(request))
    secure.lay_out("alice")

    client.pull(image)

    await_truth(lambda: secure.list_manifests(image) == {("alice", 200)})


@pytest.mark.parametrize("name", ["bob", ""])
def test_who_is_not_allowed_does_not(
    client: CertifiedClient, secure: CertifiedSite, request: pytest.FixtureRequest, name: str
) -> None:
    """A user whom no rule names, and a client without a certificate: the mirror has nothing."""
    image = secure.publish(name_image(request))
    secure.lay_out(name)

    with pytest.raises(AssertionError):
        client.pull(image)

    await_truth(lambda: secure.list_manifests(image) == {(name, 404)})


def test_without_the_authority_nothing_is_asked(
    client: CertifiedClient, secure: CertifiedSite, request: pytest.FixtureRequest
) -> None:
    """The client does not trust the mirror, and so it does not even say what it wants."""
    image = secure.publish(name_image(request))
    secure.lay_out("alice", has_authority=False)
    with pytest.raises(AssertionError):
        client.pull(image)

    secure.lay_out("alice")
    client.pull(image)

    await_truth(lambda: secure.list_manifests(image) == {("alice", 200)})


def test_docker_29_looks_elsewhere_for_those_of_registry_mirrors(
    docker_29: CertifiedDocker29, secure: CertifiedSite, request: pytest.FixtureRequest
) -> None:
    """In the folder of Docker Hub, in whose place the mirror is asked."""
    image = secure.publish(name_image(request))
    secure.lay_out("alice")
    with pytest.raises(AssertionError):
        docker_29.pull_by_registry_mirrors(image)
    assert secure.list_manifests(image) == set()

    place = shutil.copytree(secure.place, secure.certificates / "docker.io")
    try:
        docker_29.pull_by_registry_mirrors(image)
    finally:
        shutil.rmtree(place)
    await_truth(lambda: secure.list_manifests(image) == {("alice", 200)})


def name_image(request: pytest.FixtureRequest) -> str:
    """Return the name of a test as a repository."""
    return re.sub("[^a-z0-9]+", "-", request.node.name).strip("-")
