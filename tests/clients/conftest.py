"""The site, the engines and the clients, started once for the whole folder."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.clients import engines, programs, site
from tests.clients.images import Image
from tests.clients.pull_table import Pull, PullTable
from tests.clients.pullers import Ctr, Docker, Podman, Puller, Skopeo
from tests.clients.site import Site
from tests.harness.daemons import tail, temporary_folder
from tests.harness.go_programs import GoMissing

PULL_TABLE = pytest.StashKey[PullTable]()
PULLERS = ("docker", "ctr", "podman", "skopeo")


def require(reason: str) -> None:
    """Skip with this reason, if there is one; where everything is meant to be installed, fail."""
    if reason and os.environ.get("CI"):
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)


def pytest_terminal_summary(terminalreporter, config: pytest.Config) -> None:
    """Say what was pulled by whom."""
    pull_table = config.stash.get(PULL_TABLE, PullTable())
    if pull_table.rows:
        terminalreporter.section("pulled by real clients")
        for line in pull_table.print_table():
            terminalreporter.write_line(line)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.CallInfo, None]:
    """Show what the daemons said beside what failed."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for name, path in item.config.stash.get(PULL_TABLE, PullTable()).logs.items():
            report.sections.append((f"end of the log of {name}", tail(path)))


@pytest.fixture(scope="session")
def pull_table(pytestconfig: pytest.Config) -> PullTable:
    return pytestconfig.stash.setdefault(PULL_TABLE, PullTable())


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """Everything is below this folder, whose name is short."""
    with temporary_folder() as path:
        yield path


@pytest.fixture(scope="session")
def running_site(folder: Path, pull_table: PullTable) -> Iterator[Site]:
    require(programs.missing("docker-registry", "busybox"))
    with site.running(folder) as started:
        pull_table.logs["the mirror"] = started.mirror.log_path
        yield started


@pytest.fixture(scope="session")
def containerd(folder: Path, pull_table: PullTable) -> Iterator[Path]:
    require(programs.missing("containerd", "ctr", "runc", as_root=True))
    pull_table.logs["containerd"] = folder / "containerd" / "log"
    with engines.run_containerd(folder / "containerd") as socket:
        yield socket


@pytest.fixture(scope="session")
def dockerd(folder: Path, pull_table: PullTable, request: pytest.FixtureRequest) -> Iterator[Path]:
    require(programs.missing("docker", "dockerd", "ip", as_root=True))
    containerd = request.getfixturevalue("containerd")
    mirror = request.getfixturevalue("running_site").mirror
    pull_table.logs["dockerd"] = folder / "dockerd" / "log"
    with engines.run_dockerd(folder / "dockerd", containerd, mirror.url) as socket:
        yield socket


@pytest.fixture(scope="session")
def docker(folder: Path, dockerd: Path, running_site: Site) -> Docker:
    return Docker(make_home(folder, "docker"), dockerd, running_site.mirror.host)


@pytest.fixture(scope="session")
def ctr(folder: Path, containerd: Path, running_site: Site) -> Ctr:
    return Ctr(make_home(folder, "ctr"), containerd, running_site.mirror.host)


@pytest.fixture(scope="session")
def podman(folder: Path, running_site: Site) -> Podman:
    require(programs.missing("podman", "runc", as_root=True))
    return Podman(make_home(folder, "podman"), running_site.mirror.host)


@pytest.fixture(scope="session")
def skopeo(folder: Path, running_site: Site) -> Skopeo:
    require(programs.missing("skopeo"))
    return Skopeo(make_home(folder, "skopeo"), running_site.mirror.host)


@pytest.fixture(params=PULLERS)
def puller(request: pytest.FixtureRequest) -> Puller:
    """Each client in turn, with nothing in its own cache."""
    client = request.getfixturevalue(request.param)
    client.forget()
    return client


@pytest.fixture
def pullers(request: pytest.FixtureRequest) -> list[Puller]:
    """All clients, with nothing in their own caches."""
    clients = [request.getfixturevalue(name) for name in PULLERS]
    for client in clients:
        client.forget()
    return clients


@pytest.fixture
def pull(running_site: Site, pull_table: PullTable) -> Pull:
    """Lets a client pull an image; returns the image's message as the client got it."""

    def pull_and_read(client: Puller, image: Image, state: str) -> str:
        pull_table.pull(client, image, running_site.mirror, state)
        return client.read(image)

    return pull_and_read


def build(program: str) -> str:
    """The path of a Go program; without Go a skip by name, in CI a failure."""
    try:
        return programs.build(program)
    except GoMissing as absent:
        require(str(absent))
        raise


@pytest.fixture(scope="session")
def crane() -> str:
    return build("crane")


@pytest.fixture(scope="session")
def oras() -> str:
    return build("oras")


def make_home(folder: Path, name: str) -> Path:
    """Make the folder with all that one client keeps."""
    home = folder / f"{name}-home"
    home.mkdir()
    return home
