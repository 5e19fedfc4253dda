"""Asking an upstream briefly whether it can be used, as `entrepot doctor` does."""

import asyncio

from registry.oci.image_patterns import parse_image
from registry.oci.registries import Registries
from registry.reports.doctor.upstreams import AskedUpstream, EndpointFacts
from registry.settings.known_images import WELL_KNOWN, AskedImage
from registry.settings.upstreams import UpstreamSettings
from registry.upstream.candidate import Candidate, Step
from registry.upstream.candidate_measurement import Probe
from registry.upstream.candidate_steps import limited_by
from registry.wiring.candidates import build_probes


async def ask_upstream(name: str, settings: UpstreamSettings, seconds: float) -> AskedUpstream:
    """Ask all endpoints of an upstream: name, connection, TLS, `/v2/`, and for a token.

    A tag that everybody knows is asked for by HEAD, which counts against no pull limit. Each
    endpoint has so many seconds.

    Raises:
        SettingsError: `ca_file` cannot be read.
    """
    client, probes = build_probes(name, settings, settings.endpoints)
    image = _choose_image(name)
    async with client, asyncio.TaskGroup() as group:
        for probe in probes:
            group.create_task(_take_steps(probe, image, seconds))
    has_password = bool(settings.username)
    found = [_describe(probe.candidate, has_password=has_password) for probe in probes]
    return AskedUpstream(name, found, settings.default, has_password)


def _choose_image(name: str) -> AskedImage | None:
    """Return the smallest image that everybody knows of a registry; None if none is known."""
    for image in WELL_KNOWN.get(name, ())[-1:]:
        repository, reference = parse_image(f"{name}/{image}", Registries.of(name, {name: ()}))
        return AskedImage(image, repository.name, reference)
    return None


async def _take_steps(probe: Probe, image: AskedImage | None, seconds: float) -> None:
    with limited_by(probe.candidate, seconds):
        async with asyncio.timeout(seconds):
            await probe.steps.run_briefly(image)


def _describe(candidate: Candidate, *, has_password: bool) -> EndpointFacts:
    failed, why, limit = str(candidate.failed or ""), candidate.why, candidate.limit
    if not failed and has_password and candidate.refused:
        # Who has no login cannot be told an image that is missing from one that is private.
        failed, why = str(Step.TOKEN), next(iter(candidate.refused.values()))
    return EndpointFacts(
        candidate.origin,
        failed,
        why,
        tuple((str(step), taken) for step, taken in candidate.seconds.items()),
        candidate.date,
        candidate.answered,
        None if limit is None else (limit.remaining, limit.allowed),
    )
