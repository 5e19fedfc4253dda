"""Whether dockerd uses a mirror, by what it says of itself, and by its files. Pure."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from registry.clients import json_text
from registry.clients.diagnosis.cause import (
    NOT_SET_UP,
    Cause,
    Diagnosis,
    advise_setup,
    describe_others,
    is_mirror,
    is_other_scheme,
    list_texts,
)
from registry.clients.diagnosis.examined import Examined
from registry.clients.diagnosis.hosts_files import diagnose_hosts, find_hosts_file
from registry.clients.diagnosis.proxies import ProxySettings, advise_service, judge_proxy
from registry.clients.mirror import Mirror
from registry.clients.plan import Reader, Scope
from registry.settings.values import Refusal

HUB = "docker.io"
_HUB_ONLY = "for images of Docker Hub only"
_STORE = "io.containerd.snapshotter.v1"  # the driver type of the containerd store


def diagnose_docker(info: Mapping[str, Any], examined: Examined) -> Diagnosis:
    """Return what a daemon says of the mirror; `info` is what `docker info` prints as JSON."""
    registry, mirror = examined.registry, examined.mirror
    is_rootless = any("rootless" in each for each in list_texts(info.get("SecurityOptions")))
    scope = Scope(examined.home if is_rootless else None)
    folder = scope.choose("/etc/docker", ".config/docker")
    certificates = folder / "certs.d"
    found = _judge_mirrors(info, scope, examined)
    only = _HUB_ONLY
    if _has_store(info) and find_hosts_file(certificates, registry, examined.read):
        found, only = diagnose_hosts("docker-29", certificates, examined), ""
    elif registry != HUB:
        found = Diagnosis((_explain_hub_only(info, registry, mirror),), found.evidence)
    texts = [str(info.get(name) or "") for name in ("HttpProxy", "HttpsProxy", "NoProxy")]
    proxies = ProxySettings(*texts)
    cure = advise_service("docker", proxies.no_proxy)
    causes = judge_proxy("dockerd", mirror, proxies, "docker info", cure)
    return Diagnosis((*found.causes, *causes), found.evidence, only)


def _has_store(info: Mapping[str, Any]) -> bool:
    """Whether images are in the store of containerd, which has other rules for mirrors."""
    status = info.get("DriverStatus")
    pairs = status if isinstance(status, list) else []
    return any(isinstance(each, list) and _STORE in each for each in pairs)


def _explain_hub_only(info: Mapping[str, Any], registry: str, mirror: Mirror) -> Cause:
    sentence = f"docker asks its registry-mirrors for images of Docker Hub only, not of {registry}"
    if _has_store(info):
        return Cause("hub only", sentence, (), advise_setup("docker-29", mirror))
    return Cause("hub only", sentence, (), f"docker pull {mirror.host}/{registry}/...")


def _judge_mirrors(info: Mapping[str, Any], scope: Scope, examined: Examined) -> Diagnosis:
    """Return what `registry-mirrors` say of the mirror."""
    mirror = examined.mirror
    config = info.get("RegistryConfig")
    listed = list_texts(config.get("Mirrors")) if isinstance(config, dict) else []
    evidence = f"docker info: registry mirrors: {describe_others(listed)}"
    own = [is_mirror(each, mirror) for each in listed]
    if not any(own):
        if _is_elsewhere(info, examined):
            return Diagnosis((_explain_elsewhere(info, evidence, mirror),), (evidence,))
        return Diagnosis((_explain_missing(listed, evidence, scope, examined),), (evidence,))
    if own[0]:
        return Diagnosis((), (evidence,))
    sentence = f"docker asks {listed[0]} before the mirror"
    cure = f"put {mirror.url} first in registry-mirrors"
    return Diagnosis((Cause("not first", sentence, (evidence,), cure, stays=True),), (evidence,))


def _is_elsewhere(info: Mapping[str, Any], examined: Examined) -> bool:
    """Whether a daemon is on another machine, such as the one of Docker Desktop."""
    name = str(info.get("Name") or "")
    return bool(name and examined.host) and name != examined.host


def _explain_elsewhere(info: Mapping[str, Any], said: str, mirror: Mirror) -> Cause:
    """Return that a daemon lists no such mirror; the files of this machine are not its own."""
    name = info["Name"]
    sentence = f"the docker daemon on {name} does not list it"
    line = f'"registry-mirrors": ["{mirror.url}"]'
    cure = f"on {name}: {advise_setup('docker', mirror)}, or in its daemon.json: {line}"
    return Cause(NOT_SET_UP, sentence, (said,), cure)


def _explain_missing(listed: list[str], said: str, scope: Scope, examined: Examined) -> Cause:
    """Return why the daemon does not list the mirror."""
    mirror, read = examined.mirror, examined.read
    user = ("--user",) if scope.home is not None else ()
    setup = advise_setup("docker", mirror, *user)
    path = scope.choose("/etc/docker", ".config/docker") / "daemon.json"
    if other := next((each for each in listed if is_other_scheme(each, mirror)), ""):
        sentence = f"docker asks the mirror by {other}, but it is {mirror.url}"
        return Cause("scheme", sentence, (said,), f"edit {path}: write {mirror.url}")
    try:
        written = _read_mirrors(path, read)
    except Refusal as error:
        place = f"{path}:{getattr(error, 'line', 0) or 1}: {error.why}"
        sentence = f"dockerd cannot read {path}, and keeps what it had before"
        return Cause("damaged", sentence, (place, said), f"edit {path}: {error.cure}")
    evidence = (f"{path}: registry-mirrors: {describe_others(written)}", said)
    if any(is_mirror(each, mirror) for each in written):
        systemctl = "systemctl --user" if user else "systemctl"
        sentence = "dockerd has not read its file since it was changed"
        return Cause("not reloaded", f"{sentence}: {path}", evidence, f"{systemctl} reload docker")
    other_scope = Scope(None if scope.home is not None else examined.home)
    other_file = other_scope.choose("/etc/docker", ".config/docker") / "daemon.json"
    if _names_mirror(other_file, mirror, read):
        kind = "is rootless" if user else "is not rootless"
        sentence = f"this dockerd {kind}: it reads {path}, and not {other_file}"
        return Cause("other file", sentence, (f"{other_file}: names the mirror", *evidence), setup)
    sentence = "docker lists other mirrors, but not this one" if listed else "docker has no mirror"
    return Cause(NOT_SET_UP, sentence, evidence, f"{setup} --restart")


def _read_mirrors(path: PurePosixPath, read: Reader) -> list[str]:
    return list_texts(json_text.parse(read(path) or "").get("registry-mirrors"))


def _names_mirror(path: PurePosixPath, mirror: Mirror, read: Reader) -> bool:
    try:
        return any(is_mirror(each, mirror) for each in _read_mirrors(path, read))
    except Refusal:
        return False
