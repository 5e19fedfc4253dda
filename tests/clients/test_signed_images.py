"""Recent clients pull, verify and copy signed images with attestations, whatever happens upstream.

dockerd 29 asks for the referrers of each attestation manifest, and gives up the pull if the answer
is an error. cosign, oras and regctl ask for those of the image.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.clients import engines, pointed, programs, signed_site
from tests.clients.conftest import build, make_home, require
from tests.clients.engines import Engine
from tests.clients.images import Image, here
from tests.clients.pull_table import PullTable
from tests.clients.pullers import Client
from tests.clients.signature_tools import (
    BuildKit,
    Cosign,
    Crane,
    DockerByHosts,
    Helm,
    Oras,
    RecentCtr,
    RecentDocker,
    Regctl,
)
from tests.clients.signed_site import CHARTS, IMAGES, SignedSite
from tests.fakes.upstream import FakeUpstream

pytestmark = [pytest.mark.programs, pytest.mark.timeout(900)]

OUTAGES = {
    "stopped": FakeUpstream.stop,
    "429": signed_site.answer(429),
    "500": signed_site.answer(500),
    "black hole": FakeUpstream.hang,
}
# As in docs/clients.md.
HOSTS = """
[host."http://{mirror}"]
  capabilities = ["pull", "resolve", "referrers"]
"""


@pytest.fixture(scope="module")
def signed(folder: Path, pull_table: PullTable) -> Iterator[SignedSite]:
    require(programs.missing("busybox"))
    with signed_site.running(folder / "signed") as started:
        pull_table.logs["the mirror of signed images"] = started.mirror.log_path
        yield started


@pytest.fixture(scope="module")
def engine() -> Engine:
    """Docker 29 with containerd 2."""
    require(programs.missing(as_root=True))
    return Engine(engines.CONTAINERD_2, *map(build, engines.PROGRAMS))


@pytest.fixture(scope="module")
def recent(
    folder: Path, pull_table: PullTable, engine: Engine, signed: SignedSite
) -> Iterator[tuple[Path, Path]]:
    """The sockets of containerd 2 and of Docker 29 with `registry-mirrors`."""
    pull_table.logs["dockerd 29"] = folder / "mirrors" / "d" / "log"
    with engines.run_recent(folder / "mirrors", engine, [signed.mirror.url]) as sockets:
        yield sockets


@pytest.fixture(scope="module")
def docker_29(
    folder: Path, engine: Engine, signed: SignedSite, recent: tuple[Path, Path]
) -> RecentDocker:
    home = make_home(folder, "docker-29")
    return RecentDocker(home, recent[1], signed.mirror.host, engine.docker)


@pytest.fixture(scope="module")
def ctr_2(folder: Path, engine: Engine, signed: SignedSite, recent: tuple[Path, Path]) -> RecentCtr:
    home = make_home(folder, "ctr-2")
    return RecentCtr(home, recent[0], signed.mirror.host, program=engine.ctr)


@pytest.fixture(scope="module")
def buildkit(
    folder: Path, pull_table: PullTable, engine: Engine, signed: SignedSite
) -> Iterator[BuildKit]:
    """BuildKit with a containerd of its own: pruning it would remove what others pulled."""
    pull_table.logs["buildkitd"] = folder / "buildkit" / "b" / "log"
    with ExitStack() as stack:
        place = folder / "buildkit"
        place.mkdir()
        containerd = stack.enter_context(engines.run_containerd(place / "c", engine))
        built = (build("buildkitd"), build("buildctl"))
        configuration = pointed.write("buildkit", place / "root", signed.mirror.url)
        socket = stack.enter_context(
            engines.run_buildkitd(place / "b", containerd, configuration, built)
        )
        yield BuildKit(built[1], make_home(folder, "buildctl"), socket)


@pytest.fixture(scope="module")
def hosts_file(folder: Path, signed: SignedSite) -> Path:
    """The one for all registries, which `docker_29_by_hosts` reads at each pull."""
    path = folder / "certificates" / "_default" / "hosts.toml"
    path.parent.mkdir(parents=True)
    path.write_text(HOSTS.format(mirror=signed.mirror.host))
    return path


@pytest.fixture(scope="module")
def docker_29_by_hosts(
    folder: Path, pull_table: PullTable, engine: Engine, signed: SignedSite, hosts_file: Path
) -> Iterator[DockerByHosts]:
    """Docker 29 with that file, and without `registry-mirrors`."""
    pull_table.logs["dockerd 29 by hosts.toml"] = folder / "hosts" / "d" / "log"
    with ExitStack() as stack:
        place = hosts_file.parent.parent
        under = stack.enter_context(engines.run_with_certificates(place))
        _, socket = stack.enter_context(engines.run_recent(folder / "hosts", engine, (), under))
        home = make_home(folder, "docker-29-by-hosts")
        yield DockerByHosts(home, socket, signed.mirror.host, engine.docker)


@pytest.fixture(scope="module")
def cosign(folder: Path, signed: SignedSite) -> Cosign:
    home = make_home(folder, "cosign")
    where = (home, signed.mirror.host, signed.referrers)
    return Cosign(build("cosign"), *where, signed.public_key)


@pytest.fixture(scope="module")
def oras_copy(folder: Path, signed: SignedSite, oras: str) -> Oras:
    return Oras(oras, make_home(folder, "oras"), signed.mirror.host, signed.referrers)


@pytest.fixture(scope="module")
def crane_pull(folder: Path, signed: SignedSite, crane: str) -> Crane:
    return Crane(crane, make_home(folder, "crane"), signed.mirror.host, signed.referrers)


@pytest.fixture(scope="module")
def helm(folder: Path, signed: SignedSite) -> Helm:
    home = make_home(folder, "helm")
    return Helm(build("helm"), home, signed.mirror.host, signed.referrers)


@pytest.fixture(scope="module")
def regctl(folder: Path, signed: SignedSite) -> Regctl:
    home = make_home(folder, "regctl")
    return Regctl(build("regctl"), home, signed.mirror.host, signed.referrers)


ONE_PLATFORM = ("docker_29", "docker_29_by_hosts", "buildkit")
OTHERS = ("ctr_2", "cosign", "oras_copy", "regctl", "crane_pull", "helm")


@pytest.mark.parametrize("name", [*ONE_PLATFORM, *OTHERS])
def test_signed_images_pull_in_every_situation(
    name: str, signed: SignedSite, pull_table: PullTable, request: pytest.FixtureRequest
) -> None:
    """Cold, warm, in each outage, and in an outage after `images warm` alone."""
    client: Client = request.getfixturevalue(name)
    wanted = CHARTS if name == "helm" else IMAGES
    failed: dict[str, str] = {}

    def pull_all(state: str) -> None:
        client.forget()
        for image in wanted:
            try:
                pull_table.pull(client, image, signed.mirror, state)
            except AssertionError as error:
                failed[f"{state}: {image}"] = str(error)

    signed.chill()
    pull_all("cold")
    pull_all("warm")
    for state, break_off in OUTAGES.items():
        with signed.broken(break_off):
            pull_all(state)
    # Docker and BuildKit pull one platform; the others ask at least for the manifests of all.
    signed.warm(wanted, "--platform", f"linux/{here()}" if name in ONE_PLATFORM else "all")
    with signed.broken(FakeUpstream.stop):
        pull_all("warmed, stopped")
    client.forget()  # clients of one containerd share what is in it
    assert failed == {}, "\n".join(f"{state}: {said}" for state, said in failed.items())


@pytest.mark.parametrize("image", IMAGES, ids=str)
def test_docker_asks_the_registry_itself_what_the_file_does_not_allow(
    docker_29_by_hosts: DockerByHosts, hosts_file: Path, signed: SignedSite, image: Image
) -> None:
    """It needs `referrers`, or `server` as in docs/airgap.md, which lets no push through."""
    text = hosts_file.read_text()
    short = text.replace(', "referrers"', "")
    docker_29_by_hosts.forget()
    try:
        hosts_file.write_text(short)
        with pytest.raises(AssertionError, match=r"/referrers/.*refused"):
            docker_29_by_hosts.pull(image)
        hosts_file.write_text(f'server = "{signed.mirror.url}"{short}')
        docker_29_by_hosts.pull(image)
        with pytest.raises(AssertionError, match="this is a read-only mirror"):
            docker_29_by_hosts.docker("push", str(image))
    finally:
        hosts_file.write_text(text)


def test_ctr_asks_for_the_metadata_of_all_platforms(ctr_2: RecentCtr, signed: SignedSite) -> None:
    """After a warm of one platform it needs `--skip-metadata`."""
    signed.warm(IMAGES, "--platform", f"linux/{here()}")
    with signed.broken(FakeUpstream.stop):
        for image in IMAGES:
            ctr_2.forget()
            with pytest.raises(AssertionError, match="503 Service Unavailable"):
                ctr_2.pull(image)
            ctr_2.pull(image, "--skip-metadata")
