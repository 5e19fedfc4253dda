"""Platforms: what an image runs on (image-spec, image-index.md, "platform")."""

import json
import platform
import re
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from registry.errors import PlatformInvalid

# What Python calls machines, as the specification (GOARCH) does.
_MACHINES = MappingProxyType(
    {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm/v7", "i686": "386"}
)

ALL = "all"  # what people write who want every platform

# What is printed on terminals: nothing that a terminal would obey.
_PLATFORM = re.compile(r"[a-z0-9]+/[a-z0-9_]+(?:/[a-z0-9.]+)?")


def read_platforms(index: bytes) -> dict[str, str]:
    """Return what `map_platforms` does, of the bytes of whoever; what is no document has none."""
    return map_platforms(_read(index))


def map_platforms(index: Mapping[str, Any]) -> dict[str, str]:
    """Return the platform of each manifest of an index that has one, by digest.

    Left out are manifests for no platform (`unknown/unknown`): they describe other manifests. A
    document that is no index has none.
    """
    found = {}
    for digest, entry in _list_entries(index):
        name = _format(entry.get("platform"))
        if name and not name.startswith("unknown/"):
            found[digest] = name
    return found


def find_attestations(index: bytes, subjects: Collection[str]) -> set[str]:
    """Return the digests of those manifests of an index that BuildKit made about `subjects`."""
    found = set()
    for digest, entry in _list_entries(_read(index)):
        notes = entry.get("annotations")
        if isinstance(notes, dict) and notes.get("vnd.docker.reference.digest") in subjects:
            found.add(digest)
    return found


def _list_entries(index: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    entries = index.get("manifests")
    return [
        (entry["digest"], entry)
        for entry in (entries if isinstance(entries, list) else ())
        if isinstance(entry, dict) and isinstance(entry.get("digest"), str)
    ]


def read_platform(config: bytes) -> str:
    """Return the platform that an image's config names (config.md); empty when it names none."""
    return _format(_read(config))


def _read(document: bytes) -> Mapping[str, Any]:
    try:
        fields = json.loads(document)
    except (ValueError, RecursionError):  # of a disk or of a stranger
        return {}
    return fields if isinstance(fields, dict) else {}


def _format(fields: Any) -> str:
    if not isinstance(fields, Mapping):
        return ""
    named = [fields.get(key) or "" for key in ("os", "architecture", "variant")]
    text = "/".join(named) if all(isinstance(part, str) for part in named) else ""
    return text.rstrip("/") if _PLATFORM.fullmatch(text.rstrip("/")) else ""


def parse_platform(text: str) -> str:
    """Read `os/architecture[/variant]`, or an architecture alone, which means Linux.

    Raises:
        PlatformInvalid: anything else; `all` too, which is none.
    """
    name = text if "/" in text else f"linux/{text}"
    if text == ALL or _PLATFORM.fullmatch(name) is None:
        raise PlatformInvalid(text)
    return name


def matches(wanted: str, found: str) -> bool:
    """Whether a manifest for `found` is for `wanted`; a variant counts where it is asked for.

    `arm64` and `arm64/v8` are the same, as containerd has it.
    """
    if wanted == "linux/arm64/v8":
        wanted = "linux/arm64"
    return found == wanted or found.startswith(f"{wanted}/")


def list_absent(wanted: Iterable[str], found: Collection[str]) -> list[str]:
    """Return what is wanted and not found, in order."""
    return [name for name in wanted if not any(matches(name, each) for each in found)]


def is_foreign(config: str, wanted: Iterable[str]) -> bool:
    """Whether an image whose config names this platform is not for one of those wanted.

    Configs often name no variant, and the image may be for any.
    """
    return any(not (matches(name, config) or name.startswith(f"{config}/")) for name in wanted)


def own_platform() -> str:
    """Return the platform of this machine's containers."""
    machine = platform.machine()
    return f"linux/{_MACHINES.get(machine, machine)}"
