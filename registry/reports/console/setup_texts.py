"""The files of clients that use this mirror, as `entrepot setup` would write them. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from types import MappingProxyType

from registry.clients.known import CLIENTS, Planner
from registry.clients.merging import merge
from registry.clients.mirror import Mirror
from registry.clients.plan import ClientPlan, Scope
from registry.reports import client_setup
from registry.reports.console.setup import ClientSetup, FileText, MirrorAddress, SetupReport
from registry.reports.setup_text import draw_setup
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


@dataclass(frozen=True, slots=True)
class SetupText:
    """What `entrepot setup` reports of a client that has none of its files yet, and its `text`.

    `report` is None if the client cannot use this address; the text says why.
    """

    report: client_setup.ClientSetup | None
    text: str


def write_setup(client: str, address: MirrorAddress, registries: Sequence[str]) -> SetupText | None:
    """Return what a client needs, to pull these registries; None if no such client is known."""
    if client not in CLIENTS:
        return None
    mirror = _find_mirror(address, registries)
    try:
        plan = CLIENTS[client](mirror, _find_scope(client), lambda _: None)
        files = [
            client_setup.ClientFile(each.path, "new", merge(each.kind, "", each.edits))
            for each in plan.files
        ]
    except Refusal as refusal:
        return SetupText(None, f"{refusal}.\n")
    report = client_setup.ClientSetup(
        client,
        mirror.url,
        "show",
        tuple(files),
        plan.steps,
        plan.restart,
        checks=plan.checks,
        notes=plan.notes,
    )
    return SetupText(report, "".join(f"{line}\n" for line in draw_setup(report)))


def _find_mirror(address: MirrorAddress, registries: Sequence[str]) -> Mirror:
    return Mirror(address.scheme, address.host, tuple(registries))


def _find_scope(client: str) -> Scope:
    return Scope(_HOME) if client == "minikube" else Scope()


def list_snippets(address: MirrorAddress, registries: Sequence[str]) -> SetupReport:
    """Return what each client needs, to pull these registries from this address."""
    mirror = _find_mirror(address, registries)
    clients = [_describe(name, plan, mirror) for name, plan in CLIENTS.items()]
    return SetupReport(address.url, address.port, address.is_local, clients)


def _describe(client: str, plan: Planner, mirror: Mirror) -> ClientSetup:
    title = _TITLES.get(client, client)
    try:
        found = plan(mirror, _find_scope(client), lambda _: None)
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
