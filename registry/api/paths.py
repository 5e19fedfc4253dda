"""What a request line asks for, read once. Pure.

Repository names may contain the words `manifests`, `blobs` and `tags`, so a path is read from the
right. Everything is decoded exactly once, and what could be read in two ways is refused.
"""

import re
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from urllib.parse import unquote

from registry.errors import NameInvalid
from registry.mirror.routing import RepositoryRequest

MAX_PATH = 2048  # characters; the longest legal one is far below
REMEMBERED = 4096  # request lines: a team asks for the same ones again and again
_PLACE = re.compile(r"(?P<name>.+)/(?P<kind>manifests|blobs|referrers)/(?P<reference>[^/]+)")
_TAGS = re.compile(r"(?P<name>.+)/tags/list")
_TRICKS = re.compile(r"%(?:2f|5c|00)", re.IGNORECASE)


class PathKind(Enum):
    """The endpoints of the pull API."""

    BASE = "base"
    CATALOG = "catalog"
    TAGS = "tags"
    MANIFEST = "manifests"
    BLOB = "blobs"
    REFERRERS = "referrers"


@dataclass(frozen=True, slots=True)
class RequestPath:
    """What is asked for; `reference` is still text, and empty where the kind has none."""

    kind: PathKind
    repository: RepositoryRequest
    reference: str = ""


@lru_cache(REMEMBERED)
def parse_path(raw_path: str, namespace: str, host: str) -> RequestPath | None:
    """Read the path of a request line, its `ns` parameter and its Host header.

    Returns None for a path that is no endpoint of the pull API.

    Raises:
        NameInvalid: over-long, or with encoded slashes, `..`, NUL, or other tricks.
    """
    path = _decode(raw_path)
    prefix, found, rest = _split_prefix(path)
    if not found:
        return None
    if rest in ("", "_catalog"):
        return RequestPath(
            PathKind.CATALOG if rest else PathKind.BASE, RepositoryRequest(rest, prefix)
        )
    place = _PLACE.fullmatch(rest)
    tags = None if place else _TAGS.fullmatch(rest)
    name = place or tags
    if name is None:
        return None
    repository = RepositoryRequest(name["name"], prefix, namespace, host.partition(":")[0])
    if place is None:
        return RequestPath(PathKind.TAGS, repository)
    return RequestPath(PathKind(place["kind"]), repository, place["reference"])


def is_upload(raw_path: str) -> bool:
    """Whether a path belongs to pushing, whatever the method."""
    return re.search(r"/blobs/uploads(?:/[^/]*)?$", raw_path) is not None


def _decode(raw_path: str) -> str:
    if len(raw_path) > MAX_PATH or _TRICKS.search(raw_path):
        raise NameInvalid(raw_path)
    try:
        path = unquote(raw_path, errors="strict")
    except UnicodeDecodeError as error:
        raise NameInvalid(raw_path) from error
    segments = path.split("/")
    is_plain = path.isprintable() and not any(trick in path for trick in ("\\", "%", "//"))
    if not is_plain or ".." in segments:
        raise NameInvalid(raw_path)
    return path


def _split_prefix(path: str) -> tuple[str, bool, str]:
    """Split `/<prefix>/v2/<rest>` (the prefix may be absent) at the first `v2`."""
    if path in ("/v2", "/v2/"):
        return "", True, ""
    if path.startswith("/v2/"):
        return "", True, path.removeprefix("/v2/")
    before, found, rest = path.partition("/v2/")
    if not found and path.endswith("/v2"):
        before, found = path.removesuffix("/v2"), "/v2"
    return before.removeprefix("/"), bool(found), rest
