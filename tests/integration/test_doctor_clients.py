"""`entrepot doctor` on machines whose clients do not use the mirror: each cause, and its cure.

The mirror is a real one. The programs are those of `doctor_machine.py`; those of
`tests/clients/test_doctor.py` are real.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.harness.mirror import MirrorProcess
from tests.integration.doctor_machine import (
    ClientMachine,
    find,
)

STORE = {"DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]]}
KUBERNETES = 'version = 2\n[plugins."io.containerd.grpc.v1.cri".registry]\n'
CERTS = "/etc/containerd/certs.d"


@pytest.fixture
def machine(tmp_path: Path) -> ClientMachine:
    """A machine without clients."""
    return ClientMachine(tmp_path)


@dataclass(frozen=True)
class Broken:
    """A machine that is set up wrongly: what is `said` of the client, and the `cure`."""

    client: str
    prepare: Callable[[ClientMachine, str], None]
    said: str
    cure: str


def write_podman(machine: ClientMachine, name: str, text: str) -> None:
    machine.write(f"/etc/containers/registries.conf.d/{name}", text)


def entry(location: str, more: str = "", above: str = "") -> str:
    return (
        f'[[registry]]\nprefix = "docker.io"\nlocation = "docker.io"\n{above}'
        f'[[registry.mirror]]\nlocation = "{location}"\n{more}'
    )


def has_no_mirror(machine: ClientMachine, url: str) -> None:
    machine.add_docker([])


def was_not_reloaded(machine: ClientMachine, url: str) -> None:
    machine.set_up("docker", url)
    machine.add_docker([])


def is_no_json(machine: ClientMachine, url: str) -> None:
    machine.write("/etc/docker/daemon.json", f'{{\n  "registry-mirrors": ["{url}"],\n}}\n')
    machine.add_docker([])


def is_rootless(machine: ClientMachine, url: str) -> None:
    machine.set_up("docker", url)
    machine.add_docker([], SecurityOptions=["name=seccomp", "name=rootless"])


def has_a_file_that_counts_instead(machine: ClientMachine, url: str) -> None:
    machine.add_docker([url], **STORE)
    machine.write("/etc/docker/certs.d/docker.io/hosts.toml", '[host."https://other.example"]\n')


def is_asked_by_tls(machine: ClientMachine, url: str) -> None:
    machine.add_docker([url.replace("http://", "https://")])


def does_not_answer(machine: ClientMachine, url: str) -> None:
    """As docker 28 says it: JSON, and then an error."""
    said = "permission denied while trying to connect to the Docker daemon socket"
    machine.add_program("docker", says=json.dumps({"ServerVersion": ""}) + f"\n{said}\n")


def asks_for_other_registries_only(machine: ClientMachine, url: str) -> None:
    machine.add_docker(["https://other.example"])


def has_no_config_path(machine: ClientMachine, url: str) -> None:
    machine.set_up("nerdctl", url)
    machine.write("/etc/containerd/config.toml", KUBERNETES)
    machine.add_program("crictl")


def is_in_the_wrong_folder(machine: ClientMachine, url: str) -> None:
    machine.write(f"{CERTS}/registry-1.docker.io/hosts.toml", f'[host."{url}"]\n')
    machine.write("/etc/containerd/config.toml", f'{KUBERNETES}config_path = "{CERTS}"\n')
    machine.add_program("crictl")


def may_not_resolve(machine: ClientMachine, url: str) -> None:
    machine.write(f"{CERTS}/_default/hosts.toml", f'[host."{url}"]\ncapabilities = ["pull"]\n')
    machine.write("/etc/containerd/config.toml", f'{KUBERNETES}config_path = "{CERTS}"\n')
    machine.add_program("crictl")


def was_not_restarted(machine: ClientMachine, url: str) -> None:
    file = machine.write("/etc/containerd/config.toml", KUBERNETES)
    machine.set_up("containerd", url)
    machine.add_program("crictl")
    began = int(file.stat().st_mtime) - 3600
    machine.add_program("systemctl", says_at="show", says=f"ActiveEnterTimestamp=@{began}\n")


def is_hidden_by_another_folder(machine: ClientMachine, url: str) -> None:
    machine.set_up("containerd", url)
    machine.write(f"{CERTS}/docker.io/hosts.toml", 'server = "https://registry-1.docker.io"\n')
    machine.add_program("crictl")


def has_old_tables(machine: ClientMachine, url: str) -> None:
    machine.set_up("nerdctl", url)
    text = f'{KUBERNETES}config_path = "{CERTS}"\n'
    old = '[plugins."io.containerd.grpc.v1.cri".registry.mirrors."docker.io"]\nendpoint = ["x"]\n'
    machine.write("/etc/containerd/config.toml", text + old)
    machine.add_program("crictl")


def has_a_key_in_the_wrong_table(machine: ClientMachine, url: str) -> None:
    host = url.removeprefix("http://")
    text = (
        f'[[registry]]\n[[registry.mirror]]\nlocation = "{host}/docker.io"\nprefix = "docker.io"\n'
    )
    write_podman(machine, "50-entrepot.conf", text)
    machine.add_program("podman")


def is_not_insecure(machine: ClientMachine, url: str) -> None:
    host = url.removeprefix("http://")
    write_podman(machine, "50-mirror.conf", entry(f"{host}/docker.io"))
    machine.add_program("podman")


def is_hidden_by_the_users_file(machine: ClientMachine, url: str) -> None:
    machine.set_up("podman", url)
    machine.write("/home/me/.config/containers/registries.conf", 'short-name-mode = "enforcing"\n')
    machine.add_program("podman")


def is_replaced(machine: ClientMachine, url: str) -> None:
    machine.set_up("podman", url)
    write_podman(machine, "99-site.conf", entry("other.example/docker.io"))
    machine.add_program("podman")


def is_for_digests(machine: ClientMachine, url: str) -> None:
    host, above = url.removeprefix("http://"), "mirror-by-digest-only = true\n"
    text = entry(f"{host}/docker.io", "insecure = true\n", above)
    write_podman(machine, "50-mirror.conf", text)
    machine.add_program("podman")


def cannot_be_read(machine: ClientMachine, url: str) -> None:
    write_podman(machine, "50-mirror.conf", "[[registry]]\nprefix = docker.io\n")
    machine.add_program("skopeo")


def lacks_http(machine: ClientMachine, url: str) -> None:
    host = url.removeprefix("http://")
    text = f'[registry."docker.io"]\nmirrors = ["{host}"]\n'
    machine.write("/etc/buildkit/buildkitd.toml", text)
    machine.add_program("buildctl")


def was_not_restarted_for_k3s(machine: ClientMachine, url: str) -> None:
    machine.set_up("k3s", url)
    machine.add_program("k3s")
    machine.add_program("systemctl", says_at="show", says="ActiveEnterTimestamp=@1000000000\n")


def does_not_know_the_authority(machine: ClientMachine, url: str) -> None:
    machine.set_up("podman", url)
    host = url.removeprefix("http://")
    said = f"pinging container registry {host}: x509: certificate signed by unknown authority"
    machine.add_program("podman", output=said)


BROKEN = [
    Broken("docker", has_no_mirror, "docker has no mirror", "entrepot setup docker --mirror"),
    Broken("docker", was_not_reloaded, "has not read its file since", "systemctl reload docker"),
    Broken("docker", is_no_json, "dockerd cannot read /etc/docker/daemon.json", "remove it"),
    Broken("docker", is_rootless, "this dockerd is rootless: it reads /home/me/.config", "--user"),
    Broken(
        "docker",
        has_a_file_that_counts_instead,
        "/etc/docker/certs.d/docker.io/hosts.toml does not name the mirror",
        "entrepot setup docker-29",
    ),
    Broken(
        "docker", is_asked_by_tls, "asks the mirror by https://", "edit /etc/docker/daemon.json"
    ),
    Broken("docker", does_not_answer, "daemon does not say what it has", "as root, or as a user"),
    Broken(
        "docker", asks_for_other_registries_only, "lists other mirrors", "entrepot setup docker"
    ),
    Broken("containerd", has_no_config_path, "has no config_path", "systemctl restart containerd"),
    Broken("containerd", is_in_the_wrong_folder, "has to be called docker.io", f"mv {CERTS}/regis"),
    Broken("containerd", may_not_resolve, "does not ask the mirror for tags", "resolve"),
    Broken("containerd", was_not_restarted, "since it was changed", "restart containerd"),
    Broken("containerd", is_hidden_by_another_folder, "hides", "entrepot setup containerd"),
    Broken("containerd", has_old_tables, "takes no config_path beside the table", "remove mirrors"),
    Broken("podman", has_a_key_in_the_wrong_table, "prefix stands below [[registry.mi", "above"),
    Broken("podman", is_not_insecure, "asks the mirror by TLS", "insecure = true"),
    Broken("podman", is_hidden_by_the_users_file, "of this user, and so not", "--user --write"),
    Broken("podman", is_replaced, "99-site.conf has another [[registry]]", "99-site.conf"),
    Broken("podman", is_for_digests, "for digests only", "remove mirror-by-digest-only"),
    Broken("skopeo", cannot_be_read, "cannot read", "edit /etc/containers/registries.conf.d"),
    Broken("buildkit", lacks_http, "asks the mirror by TLS", "http = true"),
    Broken("k3s", was_not_restarted_for_k3s, "since it was changed", "systemctl restart k3s"),
    Broken("podman", does_not_know_the_authority, "does not know who signed", "--ca ca.crt"),
]


@pytest.mark.parametrize(
    "broken", BROKEN, ids=lambda each: f"{each.client}-{each.prepare.__name__}"
)
def test_a_broken_client_is_explained(
    machine: ClientMachine, shared_mirror: MirrorProcess, broken: Broken
) -> None:
    """The first finding names the cause, its evidence is what was seen, and its cure mends it."""
    broken.prepare(machine, shared_mirror.url)
    report = machine.examine(shared_mirror.url, "--client", broken.client)
    found = find(report, broken.client)

    assert find(report, "mirror")["state"] == "ok"
    assert (report["code"], found["state"]) == (1, "fail")
    assert found["sentence"].startswith(
        f"{broken.client} on this machine does not use the mirror: "
    )
    assert broken.said in found["sentence"]
    assert broken.cure in found["cure"]
    assert found["evidence"]
