"""Podman, Buildah, Skopeo and CRI-O: a file of our own in `registries.conf.d`. Pure."""

from pathlib import PurePosixPath
from typing import Any

from registry.clients import toml_text
from registry.clients.edits import REGISTRY, AddRegistry
from registry.clients.mirror import Mirror
from registry.clients.plan import ClientPlan, FileEdits, Reader, Scope, install_ca
from registry.settings.toml_statements import BY_HAND
from registry.settings.values import Refusal

_IMAGE = "docker.io/library/busybox"


def plan_podman(mirror: Mirror, scope: Scope, read: Reader) -> ClientPlan:
    """Return what Podman needs."""
    return _plan(mirror, scope, read, f"podman pull {_IMAGE}")


def plan_buildah(mirror: Mirror, scope: Scope, read: Reader) -> ClientPlan:
    """Return what Buildah needs."""
    return _plan(mirror, scope, read, f"buildah pull {_IMAGE}")


def plan_skopeo(mirror: Mirror, scope: Scope, read: Reader) -> ClientPlan:
    """Return what Skopeo needs."""
    return _plan(mirror, scope, read, f"skopeo inspect --no-tags docker://{_IMAGE}")


def plan_crio(mirror: Mirror, scope: Scope, read: Reader) -> ClientPlan:
    """Return what CRI-O needs, which reads the file when it is told to."""
    restart = ("systemctl reload crio",) if scope.home is None else ()
    return _plan(mirror, scope, read, f"crictl pull {_IMAGE}", restart)


def _plan(
    mirror: Mirror, scope: Scope, read: Reader, check: str, restart: tuple[str, ...] = ()
) -> ClientPlan:
    folder = scope.choose("/etc/containers", ".config/containers")
    # A client can name only registries without a port in a path.
    names = [name for name in mirror.registries if ":" not in name]
    # An earlier README named the second one, which is read after ours.
    for other in ("registries.conf", "registries.conf.d/entrepot.conf"):
        _refuse_other_rules(folder / other, read, names)
    edits = [AddRegistry(name, f"{mirror.host}/{name}", mirror.is_plain) for name in names]
    return ClientPlan(
        files=(
            *install_ca(mirror, folder / "certs.d" / mirror.host / "ca.crt"),
            FileEdits(folder / "registries.conf.d" / "50-entrepot.conf", "toml", tuple(edits)),
        ),
        restart=restart,
        checks=(check,),
        notes=tuple(_list_notes(mirror)),
    )


def _refuse_other_rules(path: PurePosixPath, read: Reader, names: list[str]) -> None:
    """Refuse if another file has rules that ours would replace, or that replace ours."""
    document = toml_text.read_file(path, read)
    registries: Any = document.get("registries")
    if isinstance(registries, dict):
        why = f"{path} has the table [registries] of version 1, beside which others are not read"
        raise Refusal(why, "write it in version 2 (man containers-registries.conf)")
    entries = document.get(REGISTRY)
    for entry in entries if isinstance(entries, list) else []:
        if not isinstance(entry, dict):
            raise Refusal(f"{path}: {REGISTRY} is no list of tables", BY_HAND)
        name = entry.get("prefix") or entry.get("location")
        if name in names:
            why = f"{path} has a [[registry]] of {name}, and only one of both would count"
            cure = "remove it, add the mirror to it by hand, or name other --registries"
            raise Refusal(why, cure)


def _list_notes(mirror: Mirror) -> list[str]:
    notes = []
    if ports := [name for name in mirror.registries if ":" in name]:
        notes.append(
            f"Not for {', '.join(ports)}: give it an alias without a port in the settings of the"
            " mirror, and name that by --registries."
        )
    if mirror.token:
        verify = " --tls-verify=false" if mirror.is_plain else ""
        notes.append(
            "These clients take no token from this file, but after a login, if the host is one of"
            f" access.login_hosts: `podman login{verify} -u NAME {mirror.host}`"
        )
    return notes
