"""The files of clients that use this mirror, as `entrepot setup` would write them. Pure."""

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from types import MappingProxyType

from registry.clients.known import CLIENTS, Planner
from registry.clients.merging import merge
from registry.clients.mirror import Mirror
from registry.clients.plan import ClientPlan, Scope
from registry.reports.console.setup import ClientSetup, FileText, MirrorAddress, SetupReport
from registry.settings.values import Refusal

_TITLES: Mapping[str, str] = MappingProxyType(
    {
        "docker": "Docker",
        "docker-29": "Docker 29",
        "containerd": "containerd",
        "nerdctl": "nerdctl",
        "podman": "Podman",
        "buildah": "Buildah",
        "skopeo": "Skopeo",
        "cri-o": "CRI-O",
        "buildkit": "BuildKit, buildx",
        "k3s": "k3s",
        "rke2": "RKE2",
        "kind": "kind",
        "minikube": "minikube",
    }
)
_HOME = PurePosixPath("~")


def list_snippets(address: MirrorAddress, registries: Sequence[str]) -> SetupReport:
    """Return what each client needs, to pull these registries from this address."""
    mirror = Mirror(address.scheme, address.host, tuple(registries))
    clients = [_describe(name, plan, mirror) for name, plan in CLIENTS.items()]
    return SetupReport(address.url, address.port, address.is_local, clients)


def _describe(client: str, plan: Planner, mirror: Mirror) -> ClientSetup:
    title = _TITLES.get(client, client)
    scope = Scope(_HOME) if client == "minikube" else Scope()
    try:
        found = plan(mirror, scope, lambda _: None)
        files = _list_files(found)
    except Refusal as refusal:
        return ClientSetup(client, title, (), (), (), [f"{refusal}."])
    commands = [*found.steps, *found.restart]
    return ClientSetup(client, title, files, commands, found.checks, found.notes)


def _list_files(plan: ClientPlan) -> list[FileText]:
    """Return the files of a client that has none of them yet.

    Raises:
        Refusal: they cannot be written so.
    """
    return [FileText(str(each.path), merge(each.kind, "", each.edits)) for each in plan.files]
