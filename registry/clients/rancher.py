"""k3s and RKE2: `registries.yaml`. Pure."""

from pathlib import PurePosixPath

from registry.clients.edits import AddItem, Edit, SetValue
from registry.clients.mirror import Mirror
from registry.clients.plan import ClientPlan, FileEdits, Reader, Scope, install_ca


def plan_k3s(mirror: Mirror, scope: Scope, read: Reader) -> ClientPlan:
    """Return what k3s needs."""
    del scope, read  # it has one file for the machine, which is merged
    checks = ("k3s crictl pull docker.io/library/busybox",)
    return _plan(mirror, "k3s", ("systemctl restart k3s",), "k3s-agent", checks)


def plan_rke2(mirror: Mirror, scope: Scope, read: Reader) -> ClientPlan:
    """Return what RKE2 needs."""
    del scope, read  # it has one file for the machine, which is merged
    hosts = "/var/lib/rancher/rke2/agent/etc/containerd/certs.d"
    return _plan(mirror, "rke2", ("systemctl restart rke2-server",), "rke2-agent", (f"ls {hosts}",))


def _plan(
    mirror: Mirror, name: str, restart: tuple[str, ...], agent: str, checks: tuple[str, ...]
) -> ClientPlan:
    folder = PurePosixPath("/etc/rancher") / name
    # To an address with a path, k3s adds no /v2.
    url = f"{mirror.url}/t/{mirror.token}/v2" if mirror.token else mirror.url
    edits: list[Edit] = [
        AddItem(("mirrors", registry, "endpoint"), url) for registry in mirror.registries
    ]
    ca = folder / "entrepot-ca.crt"
    if mirror.ca:
        edits.append(SetValue(("configs", mirror.host, "tls", "ca_file"), str(ca)))
    return ClientPlan(
        files=(
            *install_ca(mirror, ca),
            FileEdits(folder / "registries.yaml", "yaml", tuple(edits), bool(mirror.token)),
        ),
        restart=restart,
        checks=checks,
        notes=(
            f"Each node needs the file. On one without a server, restart {agent} instead.",
            "A restart does not stop the containers of the cluster.",
        ),
    )
