"""`entrepot doctor`: causes beyond the files of a client, such as a login, a proxy, the network."""

import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.client import ask
from tests.fakes.upstream import FakeUpstream
from tests.harness.commands import run_command
from tests.harness.mirror import MirrorProcess
from tests.integration.doctor_machine import (
    BUSYBOX,
    BY_NAMESPACE,
    ClientMachine,
    find,
    find_bad,
)


@pytest.fixture
def machine(tmp_path: Path) -> ClientMachine:
    """A machine without clients."""
    return ClientMachine(tmp_path)


def has_a_proxy(machine: ClientMachine, url: str) -> None:
    proxy = {"HttpProxy": "http://user:hidden@proxy.lan:3128", "NoProxy": "localhost"}
    machine.add_docker(["http://mirror.lan:5000"], **proxy)


def test_a_proxy_of_the_daemon_is_found(machine: ClientMachine) -> None:
    """Also where the mirror is not reached; the password of the proxy is not printed."""
    has_a_proxy(machine, "")
    report = machine.examine("http://mirror.lan:5000", "--client", "docker")
    found = find(report, "docker")

    assert "to a proxy, http://user:********@proxy.lan:3128" in found["sentence"]
    assert "NO_PROXY=localhost,mirror.lan" in found["cure"]
    assert "hidden" not in json.dumps(report)


def test_a_login_that_a_client_has_not(
    machine: ClientMachine, tmp_path: Path, shared_hub: FakeUpstream
) -> None:
    """The mirror has seen the client, and tells why it got nothing."""
    access = {"mode": "users", "rules": [{"who": ["alice"], "allow": ["*"]}]}
    upstreams = {"docker.io": shared_hub.url}
    with MirrorProcess(tmp_path / "mirror", upstreams, {"access": access}) as mirror:
        machine.add_docker([mirror.url], [mirror.url + BUSYBOX])
        report = machine.examine(mirror.url, "--client", "docker")
        tags = ("latest", f"entrepot-probe-{'0' * 32}")
        answers = [ask(f"{mirror.url}/v2/library/busybox/manifests/{tag}") for tag in tags]
    found = find(report, "docker")

    assert answers[0].status == answers[1].status == 404
    assert answers[0].body == answers[1].body
    assert "asks for a login, and this client has none" in found["sentence"]
    assert "--token-file" in found["cure"]
    assert any("with docker/1.0" in line for line in found["evidence"])


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A socket that accepts nothing and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def test_a_mirror_that_is_not_reached(machine: ClientMachine, listener: socket.socket) -> None:
    """Each reason is named, with the command that looks further; no client is blamed for it."""
    machine.add_docker(["http://127.0.0.1:9"])
    silent = f"http://127.0.0.1:{listener.getsockname()[1]}"
    cases = {
        "http://127.0.0.1:9": ("nobody listens at 127.0.0.1:9", "entrepot status"),
        "http://no-such-host.invalid:5000": ("has no address", "getent hosts no-such-host.invalid"),
        silent: ("does not answer within 5 s", "ping"),
    }
    for url, (said, cure) in cases.items():
        report = machine.examine(url, "--client", "docker")
        found = find(report, "mirror")
        assert (report["code"], found["state"]) == (1, "fail")
        assert said in found["sentence"]
        assert cure in found["cure"]
    docker = find(machine.examine("http://127.0.0.1:9", "--client", "docker"), "docker")
    assert docker["state"] == "skipped"


def test_what_is_no_registry_is_not_taken_for_the_mirror(
    machine: ClientMachine, shared_mirror: MirrorProcess
) -> None:
    """Such as the console, or a mirror without TLS that is asked by TLS."""
    other = find(machine.examine(shared_mirror.console, "--client", "docker"), "mirror")
    plain = machine.examine(shared_mirror.url.replace("http:", "https:"), "--client", "docker")

    assert "is no registry" in other["sentence"]
    assert "speaks plain HTTP" in find(plain, "mirror")["sentence"]
    assert f"--mirror {shared_mirror.url}" in find(plain, "mirror")["cure"]


def test_certificates_of_an_own_authority(
    machine: ClientMachine, tmp_path: Path, shared_hub: FakeUpstream
) -> None:
    """It is known by --ca, or where clients look for it; another name is a failure."""
    folder = tmp_path / "tls"
    made = run_command("tls", "self-signed", "--host", "127.0.0.1", "--out", str(folder))
    assert made.returncode == 0, made.stderr
    files = {"tls_cert": str(folder / "server.crt"), "tls_key": str(folder / "server.key")}
    upstreams = {"docker.io": shared_hub.url}
    with MirrorProcess(tmp_path / "mirror", upstreams, {"server": files}) as mirror:
        url = mirror.url.replace("http:", "https:")
        machine.add_docker([url], [url + BUSYBOX])
        unknown = machine.examine(url)
        named = machine.examine(url, "--ca", str(folder / "ca.crt"))
        place = f"/etc/docker/certs.d/{mirror.host}/ca.crt"
        machine.write(place, (folder / "ca.crt").read_text())
        found = machine.examine(url)
        other = machine.examine(url.replace("127.0.0.1", "127.0.0.2"))
        plain = machine.examine(mirror.url)

    assert [find(unknown, "mirror")["state"], find(unknown, "docker")["state"]] == ["warn", "ok"]
    assert "--ca ca.crt" in find(unknown, "mirror")["cure"]
    assert find_bad(named) == find_bad(found) == []
    assert find(other, "mirror")["state"] == "fail"
    assert "speaks TLS, and not plain HTTP" in find(plain, "mirror")["sentence"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_files_of_others_are_no_finding(
    machine: ClientMachine, shared_mirror: MirrorProcess
) -> None:
    """Who may not read the files learns that, and not that the client is set up wrongly."""
    machine.add_docker([])
    machine.write("/etc/docker/daemon.json", "{}").chmod(0)
    report = machine.examine(shared_mirror.url, "--client", "docker")
    assert (find(report, "docker")["state"], report["code"]) == ("skipped", 0)


def test_a_client_that_nobody_set_up_only_warns_beside_one_that_is_used(
    machine: ClientMachine, shared_mirror: MirrorProcess
) -> None:
    """Many machines have several clients, of which people use one."""
    url = shared_mirror.url
    machine.add_docker([url], [url + BUSYBOX])
    machine.add_program("podman")
    report = machine.examine(url)
    (bad,) = find_bad(report)

    assert (report["code"], bad["check"], bad["state"]) == (0, "podman", "warn")
    assert machine.examine(url, "--client", "podman")["code"] == 1


def test_another_registry_is_proved_by_its_own_image(
    machine: ClientMachine, shared_mirror: MirrorProcess
) -> None:
    """dockerd asks its mirrors for images of Docker Hub only, and that is said."""
    url = shared_mirror.url
    machine.add_docker([url], [])
    report = machine.examine(url, "--client", "docker", "--probe", "ghcr.io/team/app:1")
    assert "images of Docker Hub only, not of ghcr.io" in find(report, "docker")["sentence"]
    machine.set_up("nerdctl", url)
    for registry, state in (("ghcr.io", "ok"), ("registry.example", "fail")):
        asked = f"{url}/v2/team/app/manifests/TAG?ns={registry}"
        machine.add_program("nerdctl", asks=[asked])
        words = ("--client", "nerdctl", "--probe", f"{registry}/team/app")
        found = find(machine.examine(url, *words), "nerdctl")
        assert state == found["state"]
    assert "the mirror does not mirror this registry" in found["sentence"]
    assert "entrepot upstreams ls" in found["cure"]


def test_a_daemon_on_another_machine_has_other_files(
    machine: ClientMachine, shared_mirror: MirrorProcess
) -> None:
    """Such as Docker Desktop's: what stands in the files here says nothing of it."""
    machine.set_up("docker", shared_mirror.url)
    machine.add_docker([], Name="docker-desktop")
    found = find(machine.examine(shared_mirror.url, "--client", "docker"), "docker")
    assert "the docker daemon on docker-desktop does not list it" in found["sentence"]
    assert found["cure"].startswith("on docker-desktop: entrepot setup docker")


def test_podman_under_the_name_of_docker_is_no_docker(
    machine: ClientMachine, shared_mirror: MirrorProcess
) -> None:
    """Podman is checked by its own name."""
    machine.add_program("docker", says=json.dumps({"host": {"arch": "amd64"}}))
    report = machine.examine(shared_mirror.url)
    assert (report["code"], find(report, "docker")["state"]) == (0, "skipped")
    assert "this is Podman" in find(report, "docker")["sentence"]


def test_what_ctr_pulls_proves_nothing_of_kubernetes(
    machine: ClientMachine, shared_mirror: MirrorProcess
) -> None:
    """It is told the folder, which Kubernetes has to find in the file."""
    url = shared_mirror.url
    machine.set_up("nerdctl", url)
    machine.add_program("ctr", asks=[url + BY_NAMESPACE])
    machine.write("/etc/containerd/config.toml", "version = 2\n")
    found = find(machine.examine(url, "--client", "containerd"), "containerd")
    assert (found["state"], "no config_path" in found["sentence"]) == ("fail", True)
    machine.set_up("containerd", url)
    found = find(machine.examine(url, "--client", "containerd"), "containerd")
    assert found["state"] == "ok"
    assert found["sentence"] == "The files of containerd lead to the mirror, as ctr has shown."


def test_a_program_that_hangs_is_ended(
    machine: ClientMachine, shared_mirror: MirrorProcess
) -> None:
    """It has five seconds, and is ended as soon as its probe was seen."""
    url = shared_mirror.url
    machine.add_program("skopeo", asks=[url + BUSYBOX], sleeps=60)
    machine.set_up("skopeo", url)
    began = time.monotonic()
    assert find(machine.examine(url, "--client", "skopeo"), "skopeo")["state"] == "ok"
    machine.add_program("skopeo", sleeps=60)
    assert find(machine.examine(url, "--client", "skopeo"), "skopeo")["state"] == "fail"
    assert time.monotonic() - began < 30


def test_wrong_words_are_refused(machine: ClientMachine, shared_mirror: MirrorProcess) -> None:
    """With the exit code of wrong use, and nothing else is printed."""
    machine.programs.mkdir(parents=True)
    for words, said in (
        (("--client", "dockr"), "'dockr' is none of docker, containerd"),
        (("--probe", "UPPER"), "invalid repository name"),
        (("--mirror", "mirror.lan"), "it has no scheme"),
    ):
        with pytest.raises(AssertionError, match=said):
            machine.examine("", *words)
