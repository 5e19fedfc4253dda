"""Whether Podman, Buildah, Skopeo and CRI-O use a mirror, by `registries.conf`. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
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
)
from registry.clients.diagnosis.examined import Examined
from registry.clients.diagnosis.proxies import judge_shell
from registry.clients.edits import REGISTRY
from registry.clients.mirror import Mirror
from registry.clients.plan import Reader
from registry.settings.values import Refusal

SYSTEM = PurePosixPath("/etc/containers")
USER = PurePosixPath(".config/containers")
_FILE, _FOLDER = "registries.conf", "registries.conf.d"
# What may stand in a [[registry.mirror]] (man containers-registries.conf).
_OF_MIRROR = frozenset({"location", "insecure", "pull-from-mirror"})


@dataclass(frozen=True, slots=True)
class _Entry:
    """A `[[registry]]`, and the file that it is in."""

    path: PurePosixPath
    table: Mapping[str, Any]

    @property
    def prefix(self) -> str:
        return str(self.table.get("prefix") or self.table.get("location") or "")

    @property
    def mirrors(self) -> list[Mapping[str, Any]]:
        found = self.table.get("mirror")
        return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []

    @property
    def locations(self) -> list[str]:
        return [str(each.get("location") or "") for each in self.mirrors]


def _list_files(examined: Examined) -> list[PurePosixPath]:
    """Return the files that count, in the order in which they are read.

    A user's own `registries.conf` hides the files of the system.
    """
    user = examined.home / USER
    if examined.registries_conf:
        return [PurePosixPath(examined.registries_conf)]
    has_own = examined.read(user / _FILE) is not None
    first = user / _FILE if has_own else SYSTEM / _FILE
    folders = [user / _FOLDER] if has_own else [SYSTEM / _FOLDER, user / _FOLDER]
    found = [first] if examined.read(first) is not None else []
    for folder in folders:
        names = sorted(each for each in examined.list_names(folder) if each.endswith(".conf"))
        found += [folder / each for each in names]
    return found


def diagnose_podman(examined: Examined) -> Diagnosis:
    """Return what the files say of the mirror, and the proxies of this shell."""
    found = _diagnose_files(examined, _list_files(examined))
    causes = judge_shell(examined.client, examined.mirror, examined.proxies)
    return Diagnosis((*found.causes, *causes), found.evidence)


def _diagnose_files(examined: Examined, files: list[PurePosixPath]) -> Diagnosis:
    client, registry, read = examined.client, examined.registry, examined.read
    entries: list[_Entry] = []
    for path in files:
        try:
            entries += _read_entries(path, read)
        except Refusal as error:
            place = f"{path}:{getattr(error, 'line', 0) or 1}: {error.why}"
            sentence = f"{client} cannot read {path}, and pulls nothing"
            cause = Cause("damaged", sentence, (place,), f"edit {path}: {error.cure}")
            return Diagnosis((cause,))
    counting = [each for each in entries if each.prefix == registry]
    if not counting:
        return Diagnosis((_explain_missing(examined, files, entries),))
    entry = counting[-1]  # of the same prefix, the one that is read last
    evidence = (f"{entry.path}: {registry}: {describe_others(entry.locations)}",)
    causes = _judge(examined, entry, counting)
    return Diagnosis(tuple(causes), evidence)


def _read_entries(path: PurePosixPath, read: Reader) -> list[_Entry]:
    document = toml_text.parse(read(path) or "")
    found = document.get(REGISTRY)
    if isinstance(document.get("registries"), dict):
        cure = "write it in version 2 (man containers-registries.conf)"
        raise Refusal("it has the table [registries] of version 1", cure)
    listed = found if isinstance(found, list) else []
    return [_Entry(path, each) for each in listed if isinstance(each, dict)]


def _explain_missing(
    examined: Examined, files: list[PurePosixPath], entries: list[_Entry]
) -> Cause:
    """Return why no entry counts for the registry."""
    client, registry, mirror = examined.client, examined.registry, examined.mirror
    for entry in entries:
        wrong = [key for each in entry.mirrors for key in each if key not in _OF_MIRROR]
        if wrong and not entry.prefix:
            sentence = (
                f"in {entry.path}, {wrong[0]} stands below [[registry.mirror]], and belongs to the"
                " mirror there"
            )
            edit = f"edit {entry.path}: write {wrong[0]} above [[registry.mirror]]"
            had = f"{entry.path}: [[registry.mirror]] has {', '.join(wrong)}"
            return Cause("wrong table", sentence, (had,), edit)
    system = SYSTEM / _FOLDER / "50-entrepot.conf"
    is_hidden = system not in files and examined.read(system) is not None
    if is_hidden and files:
        sentence = f"{client} reads {files[0]} of this user, and so not {system}"
        hidden = f"{system}: hidden by {files[0]}"
        return Cause("other file", sentence, (hidden,), advise_setup(client, mirror, "--user"))
    evidence = (f"files: {', '.join(map(str, files)) or 'none'}", f"no [[registry]] of {registry}")
    sentence = f"{client} has no mirror for {registry}"
    return Cause(NOT_SET_UP, sentence, evidence, advise_setup(client, mirror))


def _judge(examined: Examined, entry: _Entry, counting: list[_Entry]) -> Iterator[Cause]:
    client, registry, mirror = examined.client, examined.registry, examined.mirror
    path, evidence = entry.path, f"{entry.path}: {registry}: {describe_others(entry.locations)}"
    if entry.table.get("blocked"):
        sentence = f"{client} may not pull from {registry}: blocked = true"
        yield Cause("blocked", sentence, (evidence,), f"edit {path}: remove blocked")
    location = str(entry.table.get("location") or "")
    own = next((each for each in entry.mirrors if _leads(each.get("location"), mirror)), None)
    if own is None and not _leads(location, mirror):
        yield _explain_other(examined, evidence, entry, counting)
        return
    options: Mapping[str, Any] = entry.table if own is None else own
    if mirror.is_plain and not options.get("insecure"):
        sentence = f"{client} asks the mirror by TLS, but it is {mirror.url}"
        edit = f"edit {path}: write insecure = true below location"
        yield Cause("insecure", sentence, (evidence, f"{path}: no insecure = true"), edit)
    is_by_digest = entry.table.get("mirror-by-digest-only")
    if own is not None and (is_by_digest or own.get("pull-from-mirror") == "digest-only"):
        sentence = f"{client} asks the mirror for digests only, not for tags"
        edit = f"edit {path}: remove mirror-by-digest-only and pull-from-mirror"
        yield Cause("digest only", sentence, (evidence,), edit)
    if own is not None and own is not entry.mirrors[0]:
        sentence = f"{client} asks {entry.locations[0]} before the mirror"
        yield Cause("not first", sentence, (evidence,), f"edit {path}", stays=True)


def _leads(location: object, mirror: Mirror) -> bool:
    return bool(location) and is_mirror(str(location).partition("/")[0], mirror)


def _explain_other(
    examined: Examined, evidence: str, entry: _Entry, counting: list[_Entry]
) -> Cause:
    """Return why the entry that counts does not lead to the mirror."""
    client, registry, mirror = examined.client, examined.registry, examined.mirror
    for other in counting[:-1]:
        if any(_leads(each, mirror) for each in other.locations):
            sentence = f"{entry.path} has another [[registry]] of {registry}, and is read last"
            edit = f"edit {entry.path}: remove its [[registry]] of {registry}"
            return Cause("replaced", sentence, (f"{other.path}: names the mirror", evidence), edit)
    sentence = f"{client} has other mirrors for {registry}, but not this one"
    if not entry.mirrors:
        sentence = f"{client} has no mirror for {registry}"
    edit = f"edit {entry.path}: remove its [[registry]] of {registry}"
    return Cause("other mirror", sentence, (evidence,), f"{edit}; {advise_setup(client, mirror)}")
