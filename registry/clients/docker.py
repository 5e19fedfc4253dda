"""dockerd: `registry-mirrors` of `daemon.json`. Pure."""

from registry.clients.edits import AddItem, Edit
from registry.clients.mirror import Mirror
from registry.clients.plan import ClientPlan, FileEdits, Reader, Scope, install_ca

_CHECK = "docker info --format '{{.RegistryConfig.Mirrors}}'"
_EITHER = "With the containerd store, Docker reads {} instead of registry-mirrors."
_RECENT = "Docker 29 with the containerd store can ask the mirror for every registry"


def plan_docker(mirror: Mirror, scope: Scope, read: Reader) -> ClientPlan:
    """Return what dockerd needs, with whichever store it has."""
    folder = scope.choose("/etc/docker", ".config/docker")
    hosts = [folder / "certs.d" / name / "hosts.toml" for name in ("docker.io", "_default")]
    preferred = [path for path in hosts if read(path) is not None]
    url = f"{mirror.url}/t/{mirror.token}/" if mirror.token else mirror.url
    edits: list[Edit] = [AddItem(("registry-mirrors",), url)]
    if mirror.is_plain and not mirror.is_local:
        edits.append(AddItem(("insecure-registries",), mirror.host))
    places = (folder / "certs.d" / name / "ca.crt" for name in (mirror.host, "docker.io"))
    systemctl = "systemctl" if scope.home is None else "systemctl --user"
    return ClientPlan(
        files=(
            # With the containerd store, dockerd looks for it in the folder of Docker Hub.
            *install_ca(mirror, *places),
            FileEdits(folder / "daemon.json", "json", tuple(edits), bool(mirror.token)),
        ),
        restart=(f"{systemctl} reload docker",),
        # At a reload, dockerd keeps the values of settings that are not in the file any more.
        restart_undone=(f"{systemctl} restart docker",),
        checks=(_CHECK, "docker pull busybox"),
        notes=(*map(_EITHER.format, preferred), *_list_notes(mirror)),
    )


def _list_notes(mirror: Mirror) -> list[str]:
    others = f"`docker pull {mirror.host}/ghcr.io/org/app:1`"
    if mirror.token:
        others = f"{others}, after `docker login -u NAME {mirror.host}`"
    notes = [
        "Docker asks this mirror for images of Docker Hub only.",
        f"Pull others by the mirror's address: {others}",
        f"{_RECENT}: `entrepot setup docker-29`",
    ]
    if mirror.token:
        notes.append("A token in the path needs Docker 24 or newer.")
    return notes
