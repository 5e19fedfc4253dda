"""The settings of one upstream registry, and the registries that need no settings."""

from typing import Any

from pydantic import Field, SecretStr, field_validator

from registry.settings.fields import Endpoint, Proxy, Rate, Registry, Secret, Section
from registry.settings.rates import RateSchedule
from registry.settings.values import Refusal


class UpstreamSettings(Section):
    """One registry that is mirrored.

    `endpoints` are base URLs, tried in order. `auth_realms` are further hosts to which this
    upstream's credentials may be sent. `aliases` are other names that clients use for it.
    `connections` is how many connections may download one large blob. `max_rate` is how many bytes
    a second all processes together may download, by the hour. `allow_private_redirects` and
    `allow_http_redirects` let the upstream send the mirror to private addresses and to http, for
    blobs and for tokens. `password` is what `password_file` contained when the settings were
    loaded.
    """

    endpoints: tuple[Endpoint, ...]
    username: str = ""
    password_file: str = ""
    proxy: Proxy = Field(default="", repr=False)  # may contain a password
    connections: int = Field(default=4, ge=1, le=16)
    max_rate: Rate = RateSchedule()
    default: bool = False
    auth_realms: tuple[Registry, ...] = ()
    ca_file: str = ""
    aliases: tuple[Registry, ...] = ()
    allow_private_redirects: bool = False
    allow_http_redirects: bool = False
    password: Secret = SecretStr("")

    @field_validator("endpoints")
    @classmethod
    def _has_one(cls, endpoints: tuple[str, ...]) -> tuple[str, ...]:
        if not endpoints:
            raise Refusal("there is no endpoint", 'write endpoints = ["https://..."]')
        return endpoints


def builtin_upstreams() -> dict[str, dict[str, Any]]:
    """Return a new table for each upstream that needs no configuration, Docker Hub first."""
    docker_hub: dict[str, Any] = {
        "endpoints": ["https://registry-1.docker.io"],
        "default": True,
        "auth_realms": ["auth.docker.io"],
        "aliases": ["index.docker.io", "registry-1.docker.io"],
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
    return {"docker.io": docker_hub} | {name: {"endpoints": [f"https://{name}"]} for name in others}
