"""Building the source of each upstream registry, and reading what its settings name."""

import random
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext

import httpx

from registry.settings.model import Settings
from registry.settings.trusted_endpoints import list_trusted
from registry.settings.upstreams import UpstreamSettings
from registry.upstream.auth import Login
from registry.upstream.client import load_trust
from registry.upstream.credentials import find_credentials, find_identity
from registry.upstream.endpoint import Endpoint, RecordLimit, SpendPull
from registry.upstream.failover import EndpointPool
from registry.upstream.redirects import RedirectRules, origin_of
from registry.upstream.registry import RegistrySource
from registry.upstream.tag_policy import TagPolicy
from registry.upstream.tokens import TokenCache


def check_ca_files(settings: Settings) -> None:
    """Read the CA files of upstreams, so that a mistake shows before anything starts.

    Raises:
        SettingsError: a `ca_file` cannot be read.
    """
    for name, upstream in settings.upstreams.items():
        if upstream.ca_file:  # reading the system's own file takes 50 ms for each upstream
            load_trust(name, upstream.ca_file)


def build_endpoints(
    name: str,
    settings: UpstreamSettings,
    client: httpx.AsyncClient,
    record_limit: RecordLimit,
    reserve: Callable[[str, str], SpendPull] = lambda _, __: nullcontext,
) -> list[Endpoint]:
    """Make the endpoints of one upstream registry.

    `reserve` gets the origin and the user of each, and returns what allows its counted requests.
    """
    clock = time.monotonic
    tokens = TokenCache(client, clock)
    credentials = find_credentials(name, settings)
    rules = RedirectRules(name, settings.allow_private_redirects, settings.allow_http_redirects)
    return [
        Endpoint(
            url,
            client,
            Login(url, credentials, tokens, rules),
            clock,
            record_limit,
            rules=rules,
            spend_pull=reserve(origin_of(url), find_identity(credentials, url)),
        )
        for url in settings.endpoints
    ]


def build_source(
    name: str, settings: UpstreamSettings, endpoints: Sequence[Endpoint]
) -> RegistrySource:
    """Make the source of one upstream registry, which asks these endpoints."""
    urls = list_trusted(name, settings)
    trusted = frozenset(each for each in endpoints if each.url in urls)
    pool = EndpointPool(
        name,
        endpoints,
        time.monotonic,
        random.SystemRandom(),
        is_measured=settings.order == "measured",
        needs_proof=settings.stream == "proven",
        trusted=trusted,
    )
    return RegistrySource(name, pool, TagPolicy(settings.names, tuple(endpoints), trusted))


def list_endpoints(name: str, upstream: UpstreamSettings) -> list[tuple[str, str]]:
    """Return origin and user of each endpoint, as they are recorded with its pull limit."""
    credentials = find_credentials(name, upstream)
    return [(origin_of(url), find_identity(credentials, url)) for url in upstream.endpoints]
