"""The objects that measure candidates for the endpoints of an upstream."""

import time
from collections.abc import Sequence
from functools import partial

import httpx

from registry.settings.known_images import AskedImage
from registry.settings.trusted_endpoints import is_own, list_trusted
from registry.settings.upstreams import UpstreamSettings
from registry.upstream.auth import Login
from registry.upstream.candidate import Candidate
from registry.upstream.candidate_measurement import CandidateMeasurement, Probe
from registry.upstream.candidate_steps import CandidateSteps, TimedTokens
from registry.upstream.client import open_client
from registry.upstream.credentials import find_credentials
from registry.upstream.endpoint import Endpoint
from registry.upstream.redirects import RedirectRules


def build_measurement(
    name: str,
    settings: UpstreamSettings,
    urls: Sequence[str],
    images: Sequence[AskedImage],
    limit: float,
) -> CandidateMeasurement:
    """Return what measures the endpoints `urls` for the upstream `name` with its settings.

    `images` are asked for, and each endpoint has `limit` seconds.

    Raises:
        SettingsError: `ca_file` cannot be read.
    """
    client, probes = build_probes(name, settings, urls)
    return CandidateMeasurement(client, probes, images, limit)


def build_probes(
    name: str, settings: UpstreamSettings, urls: Sequence[str]
) -> tuple[httpx.AsyncClient, list[Probe]]:
    """Return what asks the endpoints `urls`, and the client that it uses, which is not open yet.

    Raises:
        SettingsError: `ca_file` cannot be read.
    """
    client, clock = open_client(name, settings), time.monotonic
    # An accelerator does not get the password: the settings say to whom it may be sent.
    credentials = find_credentials(name, settings)
    rules = RedirectRules(name, settings.allow_private_redirects, settings.allow_http_redirects)
    trusted, probes = list_trusted(name, settings), list[Probe]()
    for url in urls:
        known = is_own(name, settings.aliases, url, settings.endpoints)
        candidate = Candidate(url, url in trusted or known)
        tokens = TimedTokens(client, clock)
        login = Login(url, credentials, tokens, rules)
        note_limit = partial(setattr, candidate, "limit")
        endpoint = Endpoint(url, client, login, clock, note_limit, rules=rules)
        has_proxy = bool(settings.proxy)
        steps = CandidateSteps(candidate, endpoint, client, tokens, has_proxy=has_proxy)
        probes.append(Probe(candidate, endpoint, steps))
    return client, probes
