"""The files of clients that use this mirror. Pure."""

import json
from collections.abc import Iterator

from registry.reports.console.setup import ClientSetup, FileText, MirrorAddress, SetupReport

_CERTIFICATES = "certs.d/_default/hosts.toml"


def list_snippets(address: MirrorAddress) -> SetupReport:
    """Return what each client needs, to be pointed at this address."""
    return SetupReport(address.url, address.port, address.is_local, tuple(_list_clients(address)))


def _list_clients(address: MirrorAddress) -> Iterator[ClientSetup]:
    host, insecure = address.host, address.scheme == "http"
    daemon: dict[str, list[str]] = {"registry-mirrors": [address.url]}
    if insecure and not address.is_local:
        daemon["insecure-registries"] = [host]
    yield ClientSetup(
        "docker",
        "Docker",
        [FileText("/etc/docker/daemon.json", f"{json.dumps(daemon, indent=2)}\n")],
        ["systemctl reload docker"],
        ["docker info --format '{{.RegistryConfig.Mirrors}}'", "docker pull busybox"],
        [f"For other registries: docker pull {host}/ghcr.io/org/app:1"],
    )
    hosts = f'[host."{address.url}"]\n  capabilities = ["pull", "resolve"]\n'
    yield ClientSetup(
        "docker-29",
        "Docker 29",
        [
            FileText(
                f"/etc/docker/{_CERTIFICATES}", hosts.replace('"resolve"', '"resolve", "referrers"')
            )
        ],
        [],
        ["docker pull busybox"],
        ["This covers every registry. Docker reads the file at each pull."],
    )
    yield ClientSetup(
        "containerd",
        "containerd, nerdctl",
        [FileText(f"/etc/containerd/{_CERTIFICATES}", hosts)],
        [],
        ["ctr images pull --hosts-dir /etc/containerd/certs.d docker.io/library/busybox:latest"],
        ["containerd reads the file at each pull; its config_path has to name the folder."],
    )
    yield ClientSetup(
        "podman",
        "Podman, Buildah, Skopeo, CRI-O",
        [FileText("/etc/containers/registries.conf.d/entrepot.conf", _write_podman(address))],
        [],
        ["podman pull docker.io/library/busybox"],
        ["Write one such pair of tables for each registry."],
    )
    yield ClientSetup(
        "buildkit",
        "BuildKit, buildx",
        [FileText("buildkitd.toml", _write_buildkit(address))],
        ["docker buildx create --use --driver-opt network=host --buildkitd-config buildkitd.toml"],
        [],
        [],
    )
    yield ClientSetup(
        "k3s",
        "k3s, RKE2",
        [
            FileText(
                "/etc/rancher/k3s/registries.yaml",
                f'mirrors:\n  "*":\n    endpoint: ["{address.url}"]\n',
            )
        ],
        ["systemctl restart k3s"],
        ["crictl pull docker.io/library/busybox"],
        [],
    )


def _write_podman(address: MirrorAddress) -> str:
    insecure = "insecure = true\n" if address.scheme == "http" else ""
    return (
        '[[registry]]\nprefix = "docker.io"\nlocation = "docker.io"\n[[registry.mirror]]\n'
        f'location = "{address.host}/docker.io"\n{insecure}'
    )


def _write_buildkit(address: MirrorAddress) -> str:
    plain = f'[registry."{address.host}"]\n  http = true\n' if address.scheme == "http" else ""
    return f'[registry."docker.io"]\n  mirrors = ["{address.host}"]\n{plain}'
