"""Headers that manifests, blobs and lists share, and conditions on them. Pure."""

import re
from collections.abc import Iterable

from registry.mirror.cache_status import CacheStatus
from registry.oci.digest import Digest

ORIGIN = "X-Entrepot-Origin"
MAX_WARNING = 1000  # characters; the specification allows 4,096 for all together


def content_headers(digest: Digest, media_type: str, origin: CacheStatus) -> dict[str, str]:
    """Return the headers of content named by `digest` (distribution-spec, "Pulling manifests")."""
    return {
        "Content-Type": media_type,
        "Docker-Content-Digest": str(digest),
        "ETag": f'"{digest}"',
        "X-Content-Type-Options": "nosniff",
        ORIGIN: origin.value,
    }


def warning_headers(warning: str) -> dict[str, str]:
    """Return the `Warning` header (distribution-spec, "Warnings"); nothing for no warning."""
    if not warning:
        return {}
    plain = "".join(char if " " <= char <= "~" else "?" for char in warning[:MAX_WARNING])
    quoted = plain.replace("\\", "\\\\").replace('"', '\\"')
    return {"Warning": f'299 - "{quoted}"'}


def is_unchanged(if_none_match: Iterable[str], digest: Digest) -> bool:
    """Whether an `If-None-Match` names this content; quoted, weak or bare, as clients send it."""
    known = {
        re.sub(r'^(?:W/)?"?|"$', "", tag.strip())
        for header in if_none_match
        for tag in header.split(",")
    }
    return str(digest) in known or "*" in known
