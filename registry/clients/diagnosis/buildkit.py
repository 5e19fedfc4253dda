"""Whether BuildKit uses a mirror, by `buildkitd.toml`. Pure."""

from pathlib import PurePosixPath
from typing import Any

from registry.clients import toml_text
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
from registry.clients.diagnosis.services import judge_restart
from registry.settings.values import Refusal

FILE = PurePosixPath("/etc/buildkit/buildkitd.toml")
_RESTART = "systemctl restart buildkit"


def diagnose_buildkit(examined: Examined) -> Diagnosis:
    """Return what the file of buildkitd says of the mirror."""
    registry, mirror = examined.registry, examined.mirror
    try:
        tables: Any = toml_text.parse(examined.read(FILE) or "").get("registry")
    except Refusal as error:
        place = f"{FILE}:{getattr(error, 'line', 0) or 1}: {error.why}"
        sentence = f"buildkitd cannot read {FILE}"
        return Diagnosis((Cause("damaged", sentence, (place,), f"edit {FILE}: {error.cure}"),))
    tables = tables if isinstance(tables, dict) else {}
    listed = list_texts(_get(tables, registry).get("mirrors"))
    evidence = (f"{FILE}: {registry}: {describe_others(listed)}",)
    own = [is_mirror(each.partition("/")[0], mirror) for each in listed]
    if not any(own):
        sentence = f"BuildKit has no such mirror for {registry}"
        cure = f"{advise_setup('buildkit', mirror)} && {_RESTART}"
        return Diagnosis((Cause(NOT_SET_UP, sentence, evidence, cure),), evidence)
    changed = examined.find_change(FILE)
    sentence = f"buildkitd has not read {FILE} since it was changed"
    causes = [*judge_restart(examined.service, str(FILE), changed, sentence, _RESTART)]
    if mirror.is_plain and not _get(tables, mirror.host).get("http"):
        sentence = f"BuildKit asks the mirror by TLS, but it is {mirror.url}"
        edit = f'edit {FILE}: write http = true below [registry."{mirror.host}"]'
        causes.append(Cause("insecure", sentence, evidence, edit))
    if not own[0]:
        sentence = f"BuildKit asks {listed[0]} before the mirror"
        causes.append(Cause("not first", sentence, evidence, f"edit {FILE}", stays=True))
    return Diagnosis(tuple(causes), evidence)


def _get(tables: Any, name: str) -> Any:
    found = tables.get(name)
    return found if isinstance(found, dict) else {}
