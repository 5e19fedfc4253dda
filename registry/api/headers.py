"""Headers that the answers share, and conditions on them. Pure."""

import re
from collections.abc import Iterable, MutableMapping

from registry import __version__
from registry.mirror.cache_status import CacheStatus
from registry.oci.digest import Digest

ORIGIN = "X-Entrepot-Origin"
VERSION = __version__
SERVER = f"Entrepot/{VERSION}"
MAX_WARNING = 1000  # characters; the specification allows 4,096 for all warnings of an answer


def add_common_headers(headers: MutableMapping[str, str], namespace: str) -> None:
    """Add the headers that every answer has.

    `namespace` is the value of `ns`, if a configured upstream has that name: then the answer is
    valid for that registry only (distribution-spec, "Registry Proxying").
    """
    headers["Docker-Distribution-Api-Version"] = "registry/2.0"
    headers["Server"] = SERVER
    if namespace:
        headers["OCI-Namespace"] = namespace


def content_headers(digest: Digest, media_type: str, origin: CacheStatus) -> dict[str, str]:
    """Return the headers of a manifest or blob (distribution-spec, "Pulling manifests")."""
    return {
        "Content-Type": media_type,
        "Docker-Content-Digest": digest,
        "ETag": f'"{digest}"',
        "X-Content-Type-Options": "nosniff",
        ORIGIN: origin.value,
    }


def warning_headers(warning: str) -> dict[str, str]:
    """Return the `Warning` header (distribution-spec, "Warnings"); none for an empty warning."""
    if not warning:
        return {}
    plain = "".join(char if " " <= char <= "~" else "?" for char in warning[:MAX_WARNING])
    quoted = plain.replace("\\", "\\\\").replace('"', '\\"')
    return {"Warning": f'299 - "{quoted}"'}


def names_digest(conditions: Iterable[str], digest: Digest) -> bool:
    """Whether one of the entity tags in these headers is `digest`, or `*`.

    The headers are `If-None-Match` or `If-Range`. Clients send the digest in quotes, in quotes
    behind `W/`, or without quotes.
    """
    tags = {
        re.sub(r'^(?:W/)?"?|"$', "", tag.strip())
        for condition in conditions
        for tag in condition.split(",")
    }
    return digest in tags or "*" in tags
