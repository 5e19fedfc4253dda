"""`entrepot doctor` on machines on which all is well: nothing false, and the proof."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fakes.upstream import FakeUpstream
from tests.harness.mirror import MirrorProcess
from tests.integration.doctor_machine import (
    BUSYBOX,
    BY_NAMESPACE,
    BY_PATH,
    ClientMachine,
    find,
    find_bad,
)

KUBERNETES = 'version = 3\n[plugins."io.containerd.cri.v1.images".registry]\nconfig_path = "{}"\n'


@pytest.fixture
def machine(tmp_path: Path) -> ClientMachine:
    """A machine without clients."""
    return ClientMachine(tmp_path)


def prepare_docker(machine: ClientMachine, url: str) -> None:
    """With a containerd of its own, which nobody uses for Kubernetes."""
    machine.set_up("docker", url)
    machine.add_program("containerd")
    machine.add_program("ctr")
    machine.write("/etc/containerd/config.toml", "version = 2\n")
    machine.add_docker([f"{url}/", "https://other.example/"], [url + BUSYBOX])


def prepare_docker_without_files(machine: ClientMachine, url: str) -> None:
    """As with Docker Desktop, and with options of the command line."""
    machine.add_docker([url], [url + BUSYBOX], OperatingSystem="Docker Desktop")


def prepare_rootless_docker(machine: ClientMachine, url: str) -> None:
    machine.add_docker([url], [url + BUSYBOX], SecurityOptions=["name=rootless"])


def prepare_docker_29(machine: ClientMachine, url: str) -> None:
    machine.set_up("docker-29", url)
    store = [["driver-type", "io.containerd.snapshotter.v1"]]
    machine.add_docker([], [url + BY_NAMESPACE], DriverStatus=store)


def prepare_docker_with_a_proxy(machine: ClientMachine, url: str) -> None:
    """Which loopback addresses never use."""
    machine.add_docker([url], [url + BUSYBOX], HttpProxy="http://proxy.lan:3128")


def prepare_kubernetes(machine: ClientMachine, url: str) -> None:
    machine.write("/etc/containerd/config.toml", KUBERNETES.format("/etc/containerd/certs.d"))
    machine.set_up("containerd", url)
    machine.add_program("containerd")
    machine.add_program("systemctl", says_at="show", says="ActiveEnterTimestamp=@33000000000\n")
    machine.add_program("crictl", asks=[url + BY_NAMESPACE])


def prepare_nerdctl(machine: ClientMachine, url: str) -> None:
    machine.set_up("nerdctl", url)
    machine.set_up("nerdctl", url, "--user")
    machine.add_program("nerdctl", asks=[url + BY_NAMESPACE])


def prepare_podman(machine: ClientMachine, url: str) -> None:
    machine.set_up("podman", url)
    for name in ("podman", "buildah", "skopeo"):
        machine.add_program(name, asks=[url + BY_PATH])


def prepare_a_location(machine: ClientMachine, url: str) -> None:
    """As on a site without internet."""
    host = url.removeprefix("http://")
    text = f'[[registry]]\nprefix = "docker.io"\nlocation = "{host}/docker.io"\ninsecure = true\n'
    machine.write("/etc/containers/registries.conf", text)
    machine.add_program("podman", asks=[url + BY_PATH])


def prepare_buildkit(machine: ClientMachine, url: str) -> None:
    machine.set_up("buildkit", url)
    machine.add_program("buildctl", says_at="nothing", asks=[url + BY_NAMESPACE])


def prepare_k3s(machine: ClientMachine, url: str) -> None:
    machine.set_up("k3s", url)
    machine.add_program("k3s", asks=[url + BY_NAMESPACE])


def prepare_by_another_name(machine: ClientMachine, url: str) -> None:
    """The client has shown that it leads to the same mirror."""
    machine.add_docker(["http://mirror.lan:5000"], [url + BUSYBOX])


@dataclass(frozen=True)
class Healthy:
    """A machine that is set up rightly, and the clients that use the mirror there."""

    prepare: Callable[[ClientMachine, str], None]
    clients: tuple[str, ...]


HEALTHY = [
    Healthy(prepare_docker, ("docker",)),
    Healthy(prepare_docker_without_files, ("docker",)),
    Healthy(prepare_rootless_docker, ("docker",)),
    Healthy(prepare_docker_29, ("docker",)),
    Healthy(prepare_docker_with_a_proxy, ("docker",)),
    Healthy(prepare_kubernetes, ("containerd",)),
    Healthy(prepare_nerdctl, ("nerdctl",)),
    Healthy(prepare_podman, ("podman", "buildah", "skopeo")),
    Healthy(prepare_a_location, ("podman",)),
    Healthy(prepare_buildkit, ("buildkit",)),
    Healthy(prepare_k3s, ("k3s",)),
    Healthy(prepare_by_another_name, ("docker",)),
]


@pytest.mark.parametrize("healthy", HEALTHY, ids=lambda each: each.prepare.__name__)
def test_nothing_false_is_found(
    machine: ClientMachine, shared_mirror: MirrorProcess, healthy: Healthy
) -> None:
    """Each client is found by itself, and is proved to use the mirror."""
    healthy.prepare(machine, shared_mirror.url)
    report = machine.examine(shared_mirror.url)

    assert find_bad(report) == []
    assert report["code"] == 0
    checks = [each["check"] for each in report["clients"]]
    assert checks == ["mirror", *healthy.clients]
    for client in healthy.clients:
        found = find(report, client)
        assert found["sentence"].startswith(f"{client} on this machine uses the mirror")
        assert any("by 127.0.0.1, with" in line for line in found["evidence"])


def test_no_upstream_is_asked_for_a_probe(
    machine: ClientMachine, shared_mirror: MirrorProcess, shared_hub: FakeUpstream
) -> None:
    """The mirror knows a probe by its tag, and answers it by itself."""
    prepare_podman(machine, shared_mirror.url)
    asked = len(shared_hub.journal)
    report = machine.examine(shared_mirror.url)

    assert report["code"] == 0
    assert len(shared_hub.journal) == asked


def test_a_mirror_with_users_tells_who_has_asked(
    machine: ClientMachine, tmp_path: Path, shared_hub: FakeUpstream
) -> None:
    """A client with a token is let through, and the finding names its user."""
    access = {"mode": "users", "rules": [{"who": ["ci"], "allow": ["*"]}]}
    upstreams = {"docker.io": shared_hub.url}
    with MirrorProcess(tmp_path / "mirror", upstreams, {"access": access}) as mirror:
        made = mirror.run("tokens", "add", "ci")
        token = next(word for word in made.stdout.split() if word.startswith("ent_"))
        machine.add_docker([f"{mirror.url}/t/{token}"], [f"{mirror.url}/t/{token}{BUSYBOX}"])
        report = machine.examine(mirror.url, "--client", "docker")
    assert find_bad(report) == []
    assert any("as ci" in line for line in find(report, "docker")["evidence"])
    assert token not in str(report)


def test_a_machine_without_clients_has_no_problem(
    machine: ClientMachine, shared_mirror: MirrorProcess
) -> None:
    """It says that there is nothing to look at."""
    report = machine.examine(shared_mirror.url)
    assert (report["code"], find(report, "clients")["state"]) == (0, "skipped")


def test_another_mirror_cannot_prove_anything(
    machine: ClientMachine, shared_hub: FakeUpstream
) -> None:
    """A registry that does not know of probes is no reason for a finding."""
    machine.add_docker([shared_hub.url], [shared_hub.url + BUSYBOX])
    report = machine.examine(shared_hub.url, "--client", "docker")
    found = find(report, "docker")

    assert (report["code"], found["state"]) == (0, "skipped")
    assert "does not say who has asked it" in found["sentence"]
