"""containerd, nerdctl, and Docker with the containerd store: `hosts.toml`. Pure."""

from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any

from registry.clients import toml_text
from registry.clients.edits import Document, Edit, SetValue, find
from registry.clients.hosts_toml import PULLING, list_hosts_files
from registry.clients.mirror import Mirror
from registry.clients.plan import ClientPlan, FileEdits, Reader, Scope, install_ca
from registry.settings.toml_statements import BY_HAND
from registry.settings.values import Refusal

CERTIFICATES = PurePosixPath("/etc/containerd/certs.d")
CONFIGURATION = PurePosixPath("/etc/containerd/config.toml")
# The table of the plugin for Kubernetes (CRI), by the version of the file.
_TABLES = MappingProxyType(
    {
        2: ("plugins", "io.containerd.grpc.v1.cri", "registry"),
        3: ("plugins", "io.containerd.cri.v1.images", "registry"),
    }
)
_ONLY_FOR = (
    "This is for the containerd store. `docker info` names it under Storage Driver, as"
    " `driver-type: io.containerd.snapshotter.v1`; otherwise run `entrepot setup docker`"
)
_DISABLED = frozenset({"cri", "io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images"})


def plan_containerd(mirror: Mirror, scope: Scope, read: Reader) -> ClientPlan:
    """Return what containerd needs for Kubernetes, `ctr` and nerdctl.

    Raises:
        Refusal: its configuration has a form to which `hosts.toml` does not belong.
    """
    if scope.home is not None:
        return plan_nerdctl(mirror, scope, read)
    document = toml_text.read_file(CONFIGURATION, read)
    edits, folder = _choose_folder(document, is_new=not (read(CONFIGURATION) or "").strip())
    image = "docker.io/library/busybox:latest"
    configuration = (FileEdits(CONFIGURATION, "toml", edits),) if edits else ()
    return ClientPlan(
        files=(*_list_files(mirror, folder, PULLING, read), *configuration),
        restart=("systemctl restart containerd",) if edits else (),
        checks=(
            "crictl pull docker.io/library/busybox",
            f"ctr images pull --hosts-dir {folder} {image}",
        ),
    )


def find_registry_table(document: Document) -> Document | None:
    """Return the table `registry` of the plugin for Kubernetes; None if the plugin is off.

    The table is empty if it is missing.
    """
    if _DISABLED & {str(each) for each in document.get("disabled_plugins", ())}:
        return None
    tables = [find(document, table) for table in _TABLES.values()]
    return next((each for each in tables if isinstance(each, dict)), {})


def _choose_folder(document: Document, *, is_new: bool) -> tuple[tuple[Edit, ...], PurePosixPath]:
    """Return what `config.toml` needs, and the folder that it names."""
    disabled = document.get("disabled_plugins")
    if isinstance(disabled, list) and _DISABLED & {str(each) for each in disabled}:
        return (), CERTIFICATES  # the plugin that would read the setting is off
    version = 2 if is_new else document.get("version")
    table = _TABLES.get(version) if isinstance(version, int) else None
    if table is None:
        why = f"{CONFIGURATION} has version {version or 1}, and not 2 or 3"
        raise Refusal(
            why, "run `containerd config migrate`, and write what it prints into the file"
        )
    registry: Any = find(document, table)
    if registry:
        _refuse_old_tables(registry)
        if folder := _find_folder(registry):
            return (), folder
    head: tuple[Edit, ...] = (SetValue(("version",), 2),) if is_new else ()
    return (*head, SetValue((*table, "config_path"), str(CERTIFICATES))), CERTIFICATES


def _refuse_old_tables(registry: Any) -> None:
    """Refuse a file with the tables that containerd does not start with beside `config_path`."""
    if not isinstance(registry, dict):
        raise Refusal(f"{CONFIGURATION}: its setting registry is no table", BY_HAND)
    old = ["mirrors"] if registry.get("mirrors") else []
    configs = registry.get("configs")
    if isinstance(configs, dict) and any(
        isinstance(each, dict) and "tls" in each for each in configs.values()
    ):
        old.append("configs.*.tls")
    if old:
        why = (
            f"{CONFIGURATION} has {' and '.join(old)}, beside which containerd takes no config_path"
        )
        raise Refusal(why, "move them into hosts.toml files, and remove them")


def _find_folder(registry: Document) -> PurePosixPath | None:
    """Return the first folder that `config_path` names; None if it names none."""
    named = registry.get("config_path")
    if not named:
        return None
    folder = str(named).split(":")[0]
    if not folder.startswith("/") or "\0" in folder:
        raise Refusal(f"{CONFIGURATION}: config_path is not the path of a folder", BY_HAND)
    return PurePosixPath(folder)


def plan_nerdctl(mirror: Mirror, scope: Scope, read: Reader) -> ClientPlan:
    """Return what nerdctl needs: it finds its folder by itself."""
    folder = scope.choose(str(CERTIFICATES), ".config/containerd/certs.d")
    return ClientPlan(
        files=_list_files(mirror, folder, PULLING, read),
        checks=("nerdctl pull busybox",),
    )


def plan_docker_29(mirror: Mirror, scope: Scope, read: Reader) -> ClientPlan:
    """Return what Docker with the containerd store needs for every registry."""
    folder = scope.choose("/etc/docker/certs.d", ".config/docker/certs.d")
    return ClientPlan(
        files=_list_files(mirror, folder, (*PULLING, "referrers"), read),
        checks=("docker pull busybox", "docker pull ghcr.io/org/app:1"),
        notes=(_ONLY_FOR, "The file takes the place of `registry-mirrors` in daemon.json."),
    )


def _list_files(
    mirror: Mirror, folder: PurePosixPath, capabilities: tuple[str, ...], read: Reader
) -> tuple[FileEdits, ...]:
    ca = folder / mirror.host / "ca.crt"
    hosts = list_hosts_files(mirror, folder, capabilities, ca, read)
    return (*install_ca(mirror, ca), *hosts)
