"""The settings of one upstream registry, and the registries that need no settings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from annotated_types import Interval

from registry.settings.endpoints import is_endpoint
from registry.settings.fields import (
    Duration,
    Endpoint,
    Form,
    Password,
    Proxy,
    Rate,
    Registry,
    Relation,
    Section,
    Trusted,
)
from registry.settings.rates import RateSchedule
from registry.settings.secret import Secret
from registry.settings.values import Refusal

Names = Literal["trusted", "agree", "first"]


def _shorten(endpoint: str) -> str:
    """Return the server of an endpoint as people write it in `trusted`, with quotes."""
    return f'"{urlsplit(endpoint).netloc}"'


def _has_one(endpoints: tuple[str, ...]) -> tuple[str, ...]:
    if not endpoints:
        raise Refusal("there is no endpoint", 'write endpoints = ["https://..."]')
    return endpoints


def _can_agree(names: str, before: Mapping[str, Any]) -> str:
    endpoints = before.get("endpoints", ())
    hosts = {urlsplit(each).hostname for each in endpoints}
    if names == "agree" and len(hosts) == 1:
        raise Refusal(
            f'"agree" needs endpoints at two hosts, and all are at {hosts.pop()}',
            'add an endpoint of somebody else, or write names = "trusted"',
        )
    return names


def _are_endpoints(trusted: tuple[str, ...], before: Mapping[str, Any]) -> tuple[str, ...]:
    endpoints = before.get("endpoints", ())
    for entry in trusted:
        if endpoints and not any(is_endpoint(entry, each) for each in endpoints):
            known = " or ".join(dict.fromkeys(map(_shorten, endpoints)))
            raise Refusal(f"{entry} is none of the endpoints", f"write {known}")
    return trusted


@dataclass(frozen=True)
class UpstreamSettings(Section):
    """One registry that is mirrored.

    `endpoints` are base URLs; `order` says whether they are tried as written, or first those that
    deliver best, as it was measured. `names` says which of them may say what a tag means: those in
    `trusted` (URLs, or servers as host[:port]), two of them that agree, or the first that answers;
    if `trusted` is empty, the registry's own servers are (decision record 0033). `stream` says
    whether blobs are sent while they come, or only those of endpoints that have sent right bytes
    before. `auth_realms` are further hosts to which this upstream's credentials may be sent.
    `aliases` are other names that clients use for it. `connections` is how many connections to
    each endpoint may download one large blob. `max_rate` is how many bytes a second all processes
    together may download, by the hour. `allow_private_redirects` and `allow_http_redirects` let
    the upstream send the mirror to private addresses and to http, for blobs and for tokens.

    `allow` and `deny` are patterns of the images that may and may not be mirrored. A tag that moved
    keeps its former image until the new one is known here for `min_age` seconds; `new_tags` says
    what happens to a tag that was never seen, and `min_age_except` has patterns of images without
    this delay (decision record 0041).

    `password` is what `password_file` contained when the settings were loaded.
    """

    endpoints: Annotated[tuple[Endpoint, ...], Form(check=_has_one)]
    order: Literal["measured", "written"] = "measured"
    names: Annotated[Names, Relation(_can_agree)] = "trusted"
    trusted: Annotated[tuple[Trusted, ...], Relation(_are_endpoints)] = ()
    stream: Literal["always", "proven"] = "always"
    username: str = ""
    password_file: str = ""
    proxy: Proxy = field(default="", repr=False)  # may contain a password
    connections: Annotated[int, Interval(ge=1, le=16)] = 10
    max_rate: Rate = RateSchedule()
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    min_age: Duration = 0.0
    new_tags: Literal["serve", "refuse"] = "serve"
    min_age_except: tuple[str, ...] = ()
    default: bool = False
    auth_realms: tuple[Registry, ...] = ()
    ca_file: str = ""
    aliases: tuple[Registry, ...] = ()
    allow_private_redirects: bool = False
    allow_http_redirects: bool = False
    password: Password = Secret()


def builtin_upstreams() -> dict[str, dict[str, Any]]:
    """Return a new table for each upstream that needs no configuration, Docker Hub first."""
    docker_hub: dict[str, Any] = {
        "endpoints": ("https://registry-1.docker.io",),
        "default": True,
        "auth_realms": ("auth.docker.io",),
        "aliases": ("index.docker.io", "registry-1.docker.io"),
    }
    others = (
        "ghcr.io",
        "quay.io",
        "gcr.io",
        "registry.k8s.io",
        "mcr.microsoft.com",
        "public.ecr.aws",
        "nvcr.io",
    )
    return {"docker.io": docker_hub} | {
        name: {"endpoints": (f"https://{name}",)} for name in others
    }


def list_builtin_urls(name: str) -> list[str]:
    """Return the URLs of the servers of a built-in upstream, which all have TLS; none of others."""
    table = builtin_upstreams().get(name)
    if table is None:
        return []
    hosts = (name, *table.get("aliases", ()), *table.get("auth_realms", ()))
    return [*table["endpoints"], *(f"https://{host}" for host in hosts)]
