"""Asking an upstream briefly whether it can be used, as `entrepot doctor` does."""

import asyncio

from registry.errors import Unknown
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
    images = _choose_images(name)
    async with client, asyncio.TaskGroup() as group:
        for probe in probes:
            group.create_task(_take_steps(probe, images, seconds))
    has_password = bool(settings.username)
    found = [_describe(probe.candidate, has_password=has_password) for probe in probes]
    return AskedUpstream(name, found, settings.default, has_password)


def _choose_images(name: str) -> list[AskedImage]:
    """Return the smallest image that everybody knows of a registry; none if none is known."""
    for image in WELL_KNOWN.get(name, ())[-1:]:
        repository, reference = parse_image(f"{name}/{image}", Registries.of(name, {name: ()}))
        return [AskedImage(image, repository.name, reference)]
    return []


async def _take_steps(probe: Probe, images: list[AskedImage], seconds: float) -> None:
    with limited_by(probe.candidate, seconds):
        async with asyncio.timeout(seconds):
            await probe.steps.run(images)


def _describe(candidate: Candidate, *, has_password: bool) -> EndpointFacts:
    failed, why = candidate.failed, candidate.why
    if failed is Step.TAGS and _is_only_missing(candidate, has_password=has_password):
        failed, why = None, ""
    limit = candidate.limit
    return EndpointFacts(
        candidate.origin,
        str(failed or ""),
        why,
        tuple((str(step), taken) for step, taken in candidate.seconds.items()),
        candidate.date,
        candidate.answered,
        None if limit is None else (limit.remaining, limit.allowed),
    )


def _is_only_missing(candidate: Candidate, *, has_password: bool) -> bool:
    """Whether an endpoint answers, and only has not the image that it was asked for.

    Who has no login cannot be told an image that is missing from one that is private.
    """
    answers = candidate.refused.values()
    return bool(answers) and (not has_password or all(each == Unknown.answer for each in answers))
