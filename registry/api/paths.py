"""Reading the line of a request: endpoint, repository and reference. Pure.

Repository names may contain the words `manifests`, `blobs` and `tags`, so a path is read from the
right. Everything is decoded exactly once, and a path that could be read in two ways is refused.
"""

import re
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from urllib.parse import unquote

from registry.errors import EntrepotError, InvalidInput, NameInvalid
from registry.mirror.routing import RepositoryRequest, UpstreamTable
from registry.oci.digest import Digest
from registry.oci.names import Reference, Repository, Tag, parse_reference
from registry.oci.probe_tags import read_probe
from registry.oci.token_texts import mask_tokens

MAX_PATH = 2048  # characters; the longest legal path is far shorter
MAX_REMEMBERED = 1024  # characters of a path, `ns` and host together; longer ones are read anew
REMEMBERED = 4096  # request lines; the members of a team request the same images again and again
TOKEN_PATH = "/token"  # noqa: S105 - the path # nosec B105
_CONTENT = re.compile(r"(?P<name>.+)/(?P<endpoint>manifests|blobs|referrers)/(?P<reference>[^/]+)")
_TAGS = re.compile(r"(?P<name>.+)/tags/list")
_UPLOADS = re.compile(r"/blobs/uploads(?:/[^/]*)?$")
_ABSOLUTE = re.compile(r"https?://(?P<authority>[^/?#]*)", re.IGNORECASE)
_ENCODED_TRICKS = re.compile(r"%(?:2f|5c|00)", re.IGNORECASE)


class Endpoint(Enum):
    """The endpoints of the API; the values are the labels of metrics and log lines."""

    PING = "base"
    CATALOG = "catalog"
    TAGS = "tags"
    MANIFEST = "manifests"
    BLOB = "blobs"
    REFERRERS = "referrers"
    TOKEN = "token"  # noqa: S105 - the word # nosec B105
    UPLOAD = "uploads"


@dataclass(frozen=True, slots=True)
class RequestPath:
    """The parts of a path `/<prefix>/v2/<name>/<endpoint>/<reference>`; a missing part is empty."""

    endpoint: Endpoint
    name: str = ""
    prefix: str = ""
    reference: str = ""


@dataclass(frozen=True, slots=True)
class PullRequest:
    """What a request line asks for, or the error that answers it.

    `endpoint` is None if the path is not a path of the API. `repository` and `reference` are set
    if the endpoint has them and there is no `error`. `namespace` is the value of `ns`, if a
    configured upstream has that name, and otherwise empty. `name` is the name in the path, and
    `prefix` what stands before `/v2/`. `shown_repository` and `shown_reference` are what the log
    and the records say of them; they are empty if there are none. `probe` is the random
    number of a probe (`oci/probe_tags.py`); it is empty if another manifest is asked for.
    """

    endpoint: Endpoint | None
    namespace: str
    repository: Repository | None = None
    reference: Reference | None = None
    error: EntrepotError | None = None
    name: str = ""
    prefix: str = ""
    shown_repository: str = ""
    shown_reference: str = ""
    probe: str = ""


class RequestReader:
    """Reads request lines, and remembers the results."""

    def __init__(self, table: UpstreamTable) -> None:
        self._table = table
        self._remembered = lru_cache(REMEMBERED)(self._read)

    def read(self, raw_path: str, namespace: str, host: str) -> PullRequest:
        """Read a request: its path, the value of its parameter `ns`, and the host it is for."""
        if len(raw_path) + len(namespace) + len(host) > MAX_REMEMBERED:
            return self._read(raw_path, namespace, host)  # too large to be remembered
        return self._remembered(raw_path, namespace, host)

    def _read(self, raw_path: str, namespace: str, host: str) -> PullRequest:
        error: EntrepotError | None = None
        path = reference = None
        try:
            path = parse_path(raw_path)
            reference = _parse_reference(path)
        except InvalidInput as invalid:
            error = invalid.copy()
        name, prefix = (path.name, path.prefix) if path is not None else ("", "")
        route = self._table.route(
            RepositoryRequest(name, prefix, namespace, host.partition(":")[0])
        )
        return PullRequest(
            endpoint=path.endpoint if path is not None else None,
            namespace=route.namespace,
            repository=route.repository,
            reference=reference,
            error=route.error or error,
            name=name,
            prefix=prefix,
            shown_repository=mask_tokens(str(route.repository or "")),
            # No token can stand in a digest.
            shown_reference=mask_tokens(str(reference))
            if isinstance(reference, Tag)
            else reference or "",
            probe=read_probe(reference),
        )


def split_target(target: str, host: str) -> tuple[str, str, str]:
    """Split the target of a request line: return its path, its query, and the host it is for.

    `host` is the value of the Host header. It does not count if the target is a whole URL, which
    names the host itself (RFC 9112 section 3.2.2). A user and password in that URL are left out.
    """
    absolute = None if target.startswith("/") else _ABSOLUTE.match(target)
    if absolute is not None:
        host = absolute["authority"].rpartition("@")[2]
        target = target[absolute.end() :]
        target = target if target.startswith("/") else f"/{target}"
    path, _, query = target.partition("?")
    return path, query, host


def parse_path(raw_path: str) -> RequestPath | None:
    """Read the path of a request line; None if it is not a path of the API.

    Raises:
        NameInvalid: it is too long, or contains encoded slashes, `..`, NUL, or other tricks.
    """
    path = _decode(raw_path)
    if _UPLOADS.search(path):
        return RequestPath(Endpoint.UPLOAD)
    prefix, found, rest = _split_prefix(path)
    if not found:
        return RequestPath(Endpoint.TOKEN) if path == TOKEN_PATH else None
    if rest in ("", "_catalog"):
        return RequestPath(Endpoint.CATALOG if rest else Endpoint.PING, prefix=prefix)
    if parts := _CONTENT.fullmatch(rest):
        endpoint = Endpoint(parts["endpoint"])
        return RequestPath(endpoint, parts["name"], prefix, parts["reference"])
    if parts := _TAGS.fullmatch(rest):
        return RequestPath(Endpoint.TAGS, parts["name"], prefix)
    return None


def _parse_reference(path: RequestPath | None) -> Reference | None:
    if path is None or not path.reference:
        return None
    if path.endpoint is Endpoint.MANIFEST:
        return parse_reference(path.reference)
    return Digest.parse(path.reference)


def _decode(raw_path: str) -> str:
    if len(raw_path) > MAX_PATH or _ENCODED_TRICKS.search(raw_path):
        raise NameInvalid(raw_path)
    try:
        path = unquote(raw_path, errors="strict")
    except UnicodeDecodeError as error:
        raise NameInvalid(raw_path) from error
    is_plain = path.isprintable() and not any(trick in path for trick in ("\\", "%", "//"))
    if not is_plain or ".." in path.split("/"):
        raise NameInvalid(raw_path)
    return path


def _split_prefix(path: str) -> tuple[str, bool, str]:
    """Split `/<prefix>/v2/<rest>` at the first `v2`; the prefix and the rest may be absent.

    The second value says whether there is a `v2` at all.
    """
    if path in ("/v2", "/v2/"):
        return "", True, ""
    if path.startswith("/v2/"):
        return "", True, path.removeprefix("/v2/")
    before, found, rest = path.partition("/v2/")
    if not found and path.endswith("/v2"):
        before, found = path.removesuffix("/v2"), "/v2"
    return before.removeprefix("/"), bool(found), rest
