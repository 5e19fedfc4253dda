"""The files of clients that use this mirror. Pure."""

import json
from collections.abc import Sequence

from registry.reports.console.setup import ClientSetup, FileText, MirrorAddress, SetupReport

_CERTIFICATES = "certs.d/_default/hosts.toml"


def list_snippets(address: MirrorAddress) -> SetupReport:
    """Return what each client needs, to be pointed at this address."""
    clients = (
        _write_docker(address),
        _write_docker_29(address),
        _write_containerd(address),
        _write_podman(address),
        _write_buildkit(address),
        _write_k3s(address),
    )
    return SetupReport(address.url, address.port, address.is_local, clients)


def _write_docker(address: MirrorAddress) -> ClientSetup:
    daemon: dict[str, Sequence[str]] = {"registry-mirrors": [address.url]}
    if address.is_plain and not address.is_local:
        daemon["insecure-registries"] = [address.host]
    return ClientSetup(
        "docker",
        "Docker",
        [FileText("/etc/docker/daemon.json", f"{json.dumps(daemon, indent=2)}\n")],
        ["systemctl reload docker"],
        ["docker info --format '{{.RegistryConfig.Mirrors}}'", "docker pull busybox"],
        [f"For other registries: docker pull {address.host}/ghcr.io/org/app:1"],
    )


def _write_hosts(address: MirrorAddress, *capabilities: str) -> str:
    return f'[host."{address.url}"]\n  capabilities = {json.dumps(capabilities)}\n'


def _write_docker_29(address: MirrorAddress) -> ClientSetup:
    hosts = _write_hosts(address, "pull", "resolve", "referrers")
    return ClientSetup(
        "docker-29",
        "Docker 29",
        [FileText(f"/etc/docker/{_CERTIFICATES}", hosts)],
        [],
        ["docker pull busybox"],
        ["This covers every registry, without registry-mirrors. It is read at each pull."],
    )


def _write_containerd(address: MirrorAddress) -> ClientSetup:
    hosts = _write_hosts(address, "pull", "resolve")
    return ClientSetup(
        "containerd",
        "containerd, nerdctl",
        [FileText(f"/etc/containerd/{_CERTIFICATES}", hosts)],
        [],
        ["ctr images pull --hosts-dir /etc/containerd/certs.d docker.io/library/busybox:latest"],
        ["It is read at each pull; the config_path of containerd has to name the folder."],
    )


def _write_podman(address: MirrorAddress) -> ClientSetup:
    insecure = "insecure = true\n" if address.is_plain else ""
    text = (
        '[[registry]]\nprefix = "docker.io"\nlocation = "docker.io"\n[[registry.mirror]]\n'
        f'location = "{address.host}/docker.io"\n{insecure}'
    )
    return ClientSetup(
        "podman",
        "Podman, Buildah, Skopeo, CRI-O",
        [FileText("/etc/containers/registries.conf.d/entrepot.conf", text)],
        [],
        ["podman pull docker.io/library/busybox"],
        ["Write one such pair of tables for each registry."],
    )


def _write_buildkit(address: MirrorAddress) -> ClientSetup:
    plain = f'[registry."{address.host}"]\n  http = true\n' if address.is_plain else ""
    text = f'[registry."docker.io"]\n  mirrors = ["{address.host}"]\n{plain}'
    create = "docker buildx create --use --driver-opt network=host"
    return ClientSetup(
        "buildkit",
        "BuildKit, buildx",
        [FileText("buildkitd.toml", text)],
        [f"{create} --buildkitd-config buildkitd.toml"],
        [],
        [],
    )


def _write_k3s(address: MirrorAddress) -> ClientSetup:
    text = f'mirrors:\n  docker.io:\n    endpoint: ["{address.url}"]\n'
    return ClientSetup(
        "k3s",
        "k3s, RKE2",
        [FileText("/etc/rancher/k3s/registries.yaml", text)],
        ["systemctl restart k3s"],
        ["crictl pull docker.io/library/busybox"],
        ["Write one such entry for each registry."],
    )
