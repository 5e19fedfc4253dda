"""Whether k3s and RKE2 use a mirror, by `registries.yaml`. Pure."""

from pathlib import PurePosixPath

from registry.clients import yaml_text
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
from registry.clients.diagnosis.proxies import advise_service, judge_proxy
from registry.clients.diagnosis.services import judge_restart
from registry.clients.edits import find
from registry.settings.values import Refusal


def diagnose_rancher(examined: Examined) -> Diagnosis:
    """Return what the file says of the mirror, and the proxies of the service."""
    found = _diagnose_file(examined)
    service, mirror = examined.service, examined.mirror
    cure = advise_service(service.unit, service.proxies.no_proxy)
    place = f"the service {service.unit}"
    causes = judge_proxy(examined.client, mirror, service.proxies, place, cure)
    return Diagnosis((*found.causes, *causes), found.evidence)


def _diagnose_file(examined: Examined) -> Diagnosis:
    client, registry, mirror = examined.client, examined.registry, examined.mirror
    path = PurePosixPath("/etc/rancher") / client / "registries.yaml"
    restart = f"systemctl restart {examined.service.unit}"
    try:
        document = yaml_text.parse(examined.read(path) or "")
    except Refusal as error:
        place = f"{path}:{getattr(error, 'line', 0) or 1}: {error.why}"
        sentence = f"{client} cannot read {path}"
        return Diagnosis((Cause("damaged", sentence, (place,), f"edit {path}: {error.cure}"),))
    listed = [
        each
        for name in (registry, "*")
        for each in list_texts(find(document, ("mirrors", name, "endpoint")))
    ]
    evidence = (f"{path}: {registry}: {describe_others(listed)}",)
    if not any(is_mirror(each, mirror) for each in listed):
        if other := next((each for each in listed if is_other_scheme(each, mirror)), ""):
            sentence = f"{client} asks the mirror by {other}, but it is {mirror.url}"
            cure = f"edit {path}: write {mirror.url}; then {restart}"
            return Diagnosis((Cause("scheme", sentence, evidence, cure),), evidence)
        sentence = f"{client} has no such mirror for {registry}"
        cure = f"{advise_setup(client, mirror)} && {restart}"
        return Diagnosis((Cause(NOT_SET_UP, sentence, evidence, cure),), evidence)
    sentence = f"{client} has not read {path} since it was changed"
    changed = examined.find_change(path)
    causes = judge_restart(examined.service, str(path), changed, sentence, restart)
    return Diagnosis(causes, evidence)
