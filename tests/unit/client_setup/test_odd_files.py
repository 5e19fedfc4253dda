"""Files of clients that no client could read: refused in a sentence, and never a crash."""

from pathlib import Path

import pytest

from registry.errors import ClientFileInvalid
from registry.settings.values import Refusal
from tests.unit.client_setup.site import Site

CONTAINERD = "/etc/containerd/config.toml"
PODMAN = "/etc/containers/registries.conf"
K3S = "/etc/rancher/k3s/registries.yaml"
TABLE = '[plugins."io.containerd.grpc.v1.cri"]'
CASES = [
    ("containerd", CONTAINERD, "version = 2\ndisabled_plugins = 3\nplugins = 4"),
    ("containerd", CONTAINERD, "version = 2\n= 3"),
    ("containerd", CONTAINERD, f"version = 2\n{TABLE}\nregistry = 'x'"),
    ("containerd", CONTAINERD, f"version = 2\n{TABLE}\nregistry.config_path = 'certs.d'"),
    ("containerd", CONTAINERD, f"version = 2\n{TABLE}\nregistry.config_path = ['/x']"),
    ("containerd", CONTAINERD, f'version = 2\n{TABLE}\nregistry.config_path = "/x\\u0000"'),
    ("podman", PODMAN, "registry = ['docker.io']"),
    ("podman", PODMAN, "registry = 3\nx = "),
    ("k3s", K3S, "mirrors: !!int ''"),
    ("k3s", K3S, "mirrors: !!bool x"),
    ("k3s", K3S, "mirrors: !!timestamp x"),
    ("k3s", K3S, "mirrors: &all {docker.io: *all}"),
    ("k3s", K3S, "mirrors: {}\nothers: &all [*all]"),
    ("docker", "/etc/docker/daemon.json", f'{{"debug": {"9" * 5000}}}'),
]


@pytest.mark.parametrize(("client", "path", "text"), CASES, ids=range(len(CASES)))
def test_a_file_of_an_odd_form_is_named(tmp_path: Path, client: str, path: str, text: str) -> None:
    """The reason names the file, and nothing is written."""
    site = Site(tmp_path)
    site.file(path).write_text(text)

    with pytest.raises((Refusal, ClientFileInvalid), match=path):
        site.write(client)

    assert site.file(path).read_text() == text


def test_tables_beside_those_that_count_may_be_odd(tmp_path: Path) -> None:
    """What is only looked at need not have the form that was expected."""
    site = Site(tmp_path)
    text = f"version = 2\ndisabled_plugins = 3\n{TABLE[:-1]}.registry]\nconfigs = {{x = 1}}\n"
    site.file(CONTAINERD).write_text(text)

    assert len(site.write("containerd")) == 2
