"""Platforms: operating system, architecture and variant (image-spec, image-index.md)."""

import json
import platform
import re
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from registry.errors import PlatformInvalid

# The architectures of the specification (GOARCH), by their names in Python.
_MACHINES = MappingProxyType(
    {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm/v7", "i686": "386"}
)

ALL = "all"  # the argument that means every platform

# Platforms are printed on terminals, so they contain no control characters.
_PLATFORM = re.compile(r"[a-z0-9]+/[a-z0-9_]+(?:/[a-z0-9.]+)?")


def read_platforms(index: bytes) -> dict[str, str]:
    """Return `map_platforms` of the bytes of a document; empty if the bytes are not JSON."""
    return map_platforms(_read(index))


def map_platforms(index: Mapping[str, Any]) -> dict[str, str]:
    """Return the platform of each manifest of an index, by digest (as text).

    Manifests without a platform are left out, and so are manifests for `unknown/unknown`, which
    describe other manifests. The result is empty if the document is not an index.
    """
    found = {}
    for digest, entry in _list_entries(index):
        name = _format(entry.get("platform"))
        if name and not name.startswith("unknown/"):
            found[digest] = name
    return found


def find_attestations(index: bytes, subjects: Collection[str]) -> set[str]:
    """Return the digests of the attestations in an index that BuildKit made for `subjects`."""
    found = set()
    for digest, entry in _list_entries(_read(index)):
        annotations = entry.get("annotations")
        if (
            isinstance(annotations, dict)
            and annotations.get("vnd.docker.reference.digest") in subjects
        ):
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
    """Return the platform in an image's config (image-spec, config.md); empty if there is none."""
    return _format(_read(config))


def _read(document: bytes) -> Mapping[str, Any]:
    try:
        fields = json.loads(document)
    except (ValueError, RecursionError):  # the bytes come from a disk or an upstream
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
        PlatformInvalid: the text is anything else; `all` is refused too.
    """
    name = text if "/" in text else f"linux/{text}"
    if text == ALL or _PLATFORM.fullmatch(name) is None:
        raise PlatformInvalid(text)
    return name


def matches(wanted: str, found: str) -> bool:
    """Whether a manifest for the platform `found` runs on `wanted`.

    If `wanted` has no variant, any variant matches. As in containerd, `arm64` and `arm64/v8` are
    the same.
    """
    if wanted == "linux/arm64/v8":
        wanted = "linux/arm64"
    return found == wanted or found.startswith(f"{wanted}/")


def list_missing(wanted: Iterable[str], found: Collection[str]) -> list[str]:
    """Return the wanted platforms that match none of the found platforms, in order."""
    return [name for name in wanted if not any(matches(name, each) for each in found)]


def is_for_another(config: str, wanted: Iterable[str]) -> bool:
    """Whether an image with the platform `config` cannot run on at least one wanted platform.

    Many configs name no variant: then the image may be made for any variant.
    """
    return any(not (matches(name, config) or name.startswith(f"{config}/")) for name in wanted)


def own_platform() -> str:
    """Return the platform that containers have on this machine."""
    machine = platform.machine()
    return f"linux/{_MACHINES.get(machine, machine)}"
