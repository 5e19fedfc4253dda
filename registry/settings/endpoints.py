"""The URLs of upstream registries: what operators write, and what the mirror asks. Pure."""

import re
from collections.abc import Iterable
from types import MappingProxyType
from urllib.parse import urlsplit

from registry.errors import NameInvalid
from registry.oci.names import parse_name
from registry.settings.values import Refusal, check_registry, quote, split_url

_USUAL_PORTS = MappingProxyType({"https": 443, "http": 80})

_CURE = 'write a URL such as "https://registry.example.net"'
_WITHOUT_SCHEME = re.compile(r"(?:[a-z]*:?/+)?([A-Za-z0-9.-]+(?::[0-9]+)?(?:/[A-Za-z0-9._/-]*)?)")
# Registries whose API is at the root of the host: a path without /v2/ in front cannot work there.
_AT_ROOT = re.compile(
    r"[^/]+-docker\.pkg\.dev|(?:[^/]+\.)?gcr\.io|[^/]+\.dkr\.ecr\.[^/]+\.amazonaws\.com(?:\.cn)?"
    r"|[^/]+\.azurecr\.io|public\.ecr\.aws|quay\.io|ghcr\.io|registry-1\.docker\.io"
)
_OF_GITLAB = re.compile(r"/[^/]+(?:/[^/]+)*/dependency_proxy/containers")
_WEB_SITES = frozenset({"docker.io", "www.docker.com", "hub.docker.com"})
_API_PATH = re.compile(r"(?:^|/)(?:manifests|blobs|referrers|tags)/[^/]+$")


def split_endpoint(url: str) -> tuple[str, str]:
    """Return the base of an endpoint, and what comes before the names of its repositories.

    `https://h/v2/team/proxy` has the base `https://h` and the prefix `team/proxy/`; a repository
    `a/b` is at `https://h/v2/team/proxy/a/b`. Without `/v2/`, the prefix is empty.
    """
    base, _, prefix = url.rstrip("/").partition("/v2/")
    return base, f"{prefix}/" if prefix else ""


def server_of(url: str) -> str:
    """Return the host of a URL with its port, also if the URL does not name the port."""
    parts = urlsplit(url)
    return f"{parts.hostname or ''}:{parts.port or _USUAL_PORTS.get(parts.scheme, 0)}"


def list_servers(names: Iterable[str]) -> frozenset[str]:
    """Return the servers that these registries mean, with ports as `server_of` returns them.

    A name without a port means the usual ports.
    """
    return frozenset(server_of(f"{scheme}://{name}") for name in names for scheme in _USUAL_PORTS)


def list_secure(urls: Iterable[str]) -> frozenset[str]:
    """Return the servers that have TLS by these URLs, as `server_of` returns them.

    A server at the usual port of https is meant by its name, so its usual port of http is too.
    """
    servers = {server_of(url) for url in urls if url.startswith("https:")}
    plain = {f"{each.removesuffix(':443')}:80" for each in servers if each.endswith(":443")}
    return frozenset(servers | plain)


def is_weaker(url: str, secure: frozenset[str]) -> bool:
    """Whether a URL is plain http to one of these servers, from `list_secure`."""
    return url.startswith("http:") and server_of(url) in secure


def parse_trusted(text: str) -> str:
    """Return the URL of an endpoint, or the name of a host, that is trusted.

    Raises:
        Refusal: it is neither.
    """
    return parse_endpoint(text) if "://" in text else check_registry(text)


def is_endpoint(entry: str, url: str) -> bool:
    """Whether `entry`, from `parse_trusted`, is the endpoint `url` or its server."""
    return entry == url if "://" in entry else server_of(url) in list_servers((entry,))


def parse_endpoint(text: str) -> str:
    """Return the URL of an endpoint, without a trailing slash and with its host in lower case.

    It is the URL before `/v2/`, or the URL with `/v2/` and a prefix for all repositories.

    Raises:
        Refusal: the URL does not begin with `http://` or `https://`; or it has credentials, a
            query or a fragment, or cannot be the URL of a registry.
    """
    url = split_url(text, ("http", "https"), _advise_scheme(text))
    if "@" in url.netloc:  # the message does not repeat the value with its password
        raise Refusal(
            "credentials do not belong in a URL", "put them in username and password_file"
        )
    if "?" in text or "#" in text:
        raise Refusal(f"{quote(text)} has a query or a fragment", _CURE)
    host, path = url.netloc.lower(), url.path.rstrip("/")
    _check_path(text, f"{url.scheme}://{host}", path)
    if host in _WEB_SITES:
        raise Refusal(f"{quote(text)} is a web site", 'write "https://registry-1.docker.io"')
    _check_host(text, host, path)
    return f"{url.scheme}://{host}{path}"


def _advise_scheme(text: str) -> str:
    """Return what to write instead of a text that is no URL of http or https."""
    found = _WITHOUT_SCHEME.fullmatch(text)
    is_host = found is not None and ("." in found[1] or ":" in found[1])
    if found is None or not is_host or text.startswith(("http://", "https://")):
        return _CURE
    try:
        return f'write "{split_url(f"https://{found[1]}", ("https",), _CURE).geturl()}"'
    except Refusal:
        return _CURE


def _check_path(text: str, root: str, path: str) -> None:
    base, slash, prefix = path.partition("/v2/")
    if path.endswith("/v2"):
        first = "" if prefix == "v2" else prefix.removesuffix("/v2")
        if not first:
            raise Refusal(f"{quote(text)} ends in /v2, which is added anyway", "leave out the /v2")
        raise Refusal(
            f"{quote(text)} has /v2 twice",
            f'write "{root}{base}/v2/{first}" if the names of all repositories begin with {first}',
        )
    if re.search(r"/v1(?:/|$)", path):
        raise Refusal(f"{quote(text)} is the URL of the old API v1", "write the URL without /v1")
    if not slash:
        return
    if _API_PATH.search(prefix):
        raise Refusal(f"{quote(text)} is the URL of one image", f'write "{root}{base}"')
    try:
        parse_name(prefix)
    except NameInvalid as error:
        raise Refusal(
            f"{quote(text)} has no repository name after /v2/",
            f'write "{root}{base}", or after /v2/ what the names of all repositories begin with',
        ) from error


def _check_host(text: str, host: str, path: str) -> None:
    is_at_root = _AT_ROOT.fullmatch(host.partition(":")[0]) or _OF_GITLAB.fullmatch(path)
    if path and "/v2/" not in path and is_at_root:
        why = f"{quote(text)} cannot work: this registry has its API at https://{host}/v2/"
        raise Refusal(why, f'write "https://{host}/v2{path}"')
