"""Whether containerd uses a mirror for Kubernetes, and nerdctl for its user. Pure."""

from pathlib import PurePosixPath
from typing import Any

from registry.clients import toml_text
from registry.clients.containerd import CERTIFICATES, CONFIGURATION, find_registry_table
from registry.clients.diagnosis.cause import (
    NOT_SET_UP,
    Cause,
    Diagnosis,
    advise_setup,
    describe_others,
    is_mirror,
    list_texts,
)
from registry.clients.diagnosis.examined import Examined
from registry.clients.diagnosis.hosts_files import diagnose_hosts
from registry.clients.diagnosis.proxies import advise_service, judge_proxy, judge_shell
from registry.clients.diagnosis.services import judge_restart
from registry.clients.mirror import Mirror
from registry.clients.plan import Reader, Scope
from registry.settings.values import Refusal

_RESTART = "systemctl restart containerd"


def find_folder(read: Reader) -> PurePosixPath:
    """Return the folder `certs.d` that the configuration names, or else the usual one."""
    try:
        document = toml_text.parse(read(CONFIGURATION) or "")
    except Refusal:
        return CERTIFICATES
    return _get_folder(find_registry_table(document) or {}) or CERTIFICATES


def is_for_kubernetes(read: Reader) -> bool:
    """Whether there is a configuration by which Kubernetes may use this containerd."""
    text = read(CONFIGURATION)
    try:
        return text is not None and find_registry_table(toml_text.parse(text)) is not None
    except Refusal:
        return True


def _get_folder(registry: Any) -> PurePosixPath | None:
    named = str(registry.get("config_path") or "").split(":")[0]
    return PurePosixPath(named) if named else None


def diagnose_containerd(examined: Examined) -> Diagnosis:
    """Return what containerd's configuration says of the mirror."""
    mirror, service = examined.mirror, examined.service
    text = examined.read(CONFIGURATION) or ""
    try:
        document = toml_text.parse(text)
    except Refusal as error:
        place = f"{CONFIGURATION}:{getattr(error, 'line', 0) or 1}: {error.why}"
        sentence = f"containerd cannot read {CONFIGURATION}, and does not start again"
        cause = Cause("damaged", sentence, (place,), f"edit {CONFIGURATION}: {error.cure}")
        return Diagnosis((cause,))
    table = find_registry_table(document)
    causes: list[Cause] = []
    if table is not None:  # None: Kubernetes does not use this containerd
        causes += _judge_table(table, mirror)
        sentence = f"containerd has not read {CONFIGURATION} since it was changed"
        changed = examined.find_change(CONFIGURATION)
        causes += judge_restart(service, str(CONFIGURATION), changed, sentence, _RESTART)
    folder = _get_folder(table or {})
    if folder is None and table and table.get("mirrors"):
        found = _judge_old_table(table["mirrors"], examined.registry, mirror)
    else:
        found = diagnose_hosts("containerd", folder or CERTIFICATES, examined)
    proxy_cure = advise_service("containerd", service.proxies.no_proxy)
    place = f"the service {service.unit}"
    causes += judge_proxy("containerd", mirror, service.proxies, place, proxy_cure)
    if found.causes and found.causes[0].kind == NOT_SET_UP:
        return found  # what sets it up mends the rest
    # The files are the first that people write, so what is wrong with them comes first.
    return Diagnosis((*found.causes, *causes), found.evidence)


def _judge_table(table: Any, mirror: Mirror) -> list[Cause]:
    """Return what is wrong with the table of the plugin for Kubernetes."""
    has_path, has_old = bool(_get_folder(table)), bool(table.get("mirrors"))
    cure = f"{advise_setup('containerd', mirror)} && {_RESTART}"
    if has_path and has_old:
        sentence = "containerd takes no config_path beside the table mirrors, and does not start"
        evidence = (f"{CONFIGURATION}: has both config_path and mirrors",)
        edit = f"edit {CONFIGURATION}: remove mirrors"
        return [Cause("old tables", sentence, evidence, edit)]
    if has_path or has_old:
        return []
    sentence = "containerd reads no hosts.toml for Kubernetes, as its file has no config_path"
    return [Cause("config_path", sentence, (f"{CONFIGURATION}: no config_path",), cure)]


def _judge_old_table(mirrors: Any, registry: str, mirror: Mirror) -> Diagnosis:
    """Return what the table `mirrors` says, which containerd 1 reads without config_path."""
    entry = mirrors.get(registry) or mirrors.get("*") or {}
    listed = list_texts(entry.get("endpoint"))
    evidence = (f"{CONFIGURATION}: mirrors.{registry!r}: {describe_others(listed)}",)
    if any(is_mirror(each, mirror) for each in listed):
        return Diagnosis((), evidence)
    sentence = f"the table mirrors of containerd does not name the mirror for {registry}"
    cure = f"edit {CONFIGURATION}: remove mirrors; then {advise_setup('containerd', mirror)}"
    return Diagnosis((Cause("old tables", sentence, evidence, cure),), evidence)


def diagnose_nerdctl(examined: Examined) -> Diagnosis:
    """Return what nerdctl's files say of the mirror, and the proxies of this shell."""
    scope = Scope(examined.home if examined.is_rootless else None)
    folder = scope.choose(str(CERTIFICATES), ".config/containerd/certs.d")
    found = diagnose_hosts("nerdctl", folder, examined)
    causes = judge_shell("nerdctl", examined.mirror, examined.proxies)
    return Diagnosis((*found.causes, *causes), found.evidence)
