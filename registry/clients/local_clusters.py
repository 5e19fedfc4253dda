"""kind and minikube: clusters whose nodes are containers or virtual machines. Pure."""

from registry.clients.containerd import CERTIFICATES
from registry.clients.hosts_toml import PULLING, format_hosts_file, list_hosts_files
from registry.clients.merging import merge
from registry.clients.mirror import Mirror
from registry.clients.plan import ClientPlan, Reader, Scope, install_ca
from registry.settings.values import Refusal

_RUNTIME = "With the container runtime docker, make the node anew instead"
_END = "END"  # ends the content of a file in a command of the shell


def plan_kind(mirror: Mirror, scope: Scope, read: Reader) -> ClientPlan:
    """Return the commands that give each node of a cluster its `hosts.toml`.

    Raises:
        Refusal: the address leads each node to itself.
    """
    del scope, read  # the files are in the nodes
    _refuse_local(mirror, "the address of this machine in the network of Docker")
    ca = CERTIFICATES / mirror.host / "ca.crt"
    hosts = format_hosts_file(mirror, ca)
    files = [(CERTIFICATES / "_default" / hosts.path, merge(hosts.kind, "", hosts.edits))]
    files += [(ca, mirror.ca)] if mirror.ca else []
    lines = ["for node in $(kind get nodes); do"]
    for path, text in files:
        write = f"mkdir -p {path.parent} && cat > {path}"
        lines += [f"docker exec -i \"$node\" sh -c '{write}' <<'{_END}'", f"{text}{_END}"]
    return ClientPlan(
        steps=("\n".join([*lines, "done"]),),
        checks=("docker exec kind-control-plane crictl pull docker.io/library/busybox",),
        notes=(
            "kind 0.27 and newer reads these files. A new cluster needs them again.",
            "They are in the nodes, so there is nothing to write or to undo on this machine.",
        ),
    )


def plan_minikube(mirror: Mirror, scope: Scope, read: Reader) -> ClientPlan:
    """Return the files that minikube copies into its node, and how it is started.

    Raises:
        Refusal: the address leads the node to itself.
    """
    _refuse_local(mirror, "host.minikube.internal, or another address of this machine")
    if scope.home is None:
        raise Refusal("minikube has only files of users", "add --user")
    copied = scope.home / ".minikube" / "files"
    folder = copied / CERTIFICATES.relative_to("/")
    ca = CERTIFICATES / mirror.host / "ca.crt"
    insecure = f" --insecure-registry={mirror.host}" if mirror.is_plain else ""
    return ClientPlan(
        files=(
            *install_ca(mirror, folder / mirror.host / "ca.crt"),
            *list_hosts_files(mirror, folder, PULLING, ca, read),
        ),
        restart=("minikube stop", "minikube start"),
        checks=("minikube image pull docker.io/library/busybox",),
        notes=(
            "The files are for the container runtime containerd.",
            f"{_RUNTIME}: `minikube start --registry-mirror={mirror.url}{insecure}`",
        ),
    )


def _refuse_local(mirror: Mirror, cure: str) -> None:
    if mirror.is_local:
        raise Refusal(f"{mirror.host} is the node itself there", f"name {cure}, by --mirror")
