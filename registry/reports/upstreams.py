"""The reports of `entrepot upstreams`: what is known of endpoints, and a test of candidates."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from registry.oci.digest import Digest
from registry.oci.rate_limits import RateLimit
from registry.reports.name_advice import EndpointRules, advise_names
from registry.upstream.candidate import Candidate, Layer
from registry.upstream.candidate_comparison import list_different, list_disputed
from registry.upstream.performance import Performance
from registry.upstream.ranking import USUAL, rank
from registry.upstream.redirects import origin_of

# How many requests ended in which way, by upstream and origin.
Outcomes = Mapping[tuple[str, str], Mapping[str, int]]
NO_OUTCOMES: Outcomes = MappingProxyType({})
IMAGE = 100 * 1024**2  # bytes of the image whose time is estimated


@dataclass(frozen=True, slots=True)
class CandidateReport:
    """What a test has found out about one endpoint.

    Times are in seconds, rates in bytes per second: `rate` at one connection, `total` at eight.
    `seconds` is the estimated time for an image of 100 MiB. If `works` is false, `failed` is the
    step that failed and `why` is the reason; both are empty if it was not measured, because the
    test was interrupted. `own` says whether it is a host of the registry itself, `configured`
    whether the settings have it. `differs` are the images of which it says another digest than is
    taken for right.
    """

    endpoint: str
    works: bool
    own: bool
    configured: bool
    seconds: float | None
    failed: str
    why: str
    steps: Mapping[str, float]
    first_byte: float | None
    rate: float | None
    total: float | None
    ranges: bool | None
    digests: Mapping[str, Digest]
    differs: Sequence[str]
    limit: RateLimit | None
    notes: Sequence[str]


@dataclass(frozen=True, slots=True)
class UpstreamTest:
    """A test of the endpoints of one upstream: those that work come first, the fastest at the top.

    `agreed` has the digests that are taken for right. `layer` is what was downloaded; None if
    nothing was. `endpoints` is the list for the settings: the working candidates, best first.
    Those that say other digests are left out. Endpoints in the settings that do not work come
    last, and then the registry's own host. The list is empty if no candidate works. `own_works`
    says whether the own host has answered; then it can say what a tag means. If it has not,
    `names` and `trusted` are values for the settings of these names (empty: they stay). `complete`
    is false if the test was interrupted. `gains_password` has the endpoints that would get the
    password of the upstream with this list, and do not get it now.
    """

    upstream: str
    candidates: Sequence[CandidateReport]
    agreed: Mapping[str, Digest]
    layer: Layer | None
    endpoints: Sequence[str]
    own_works: bool
    names: str
    trusted: Sequence[str]
    complete: bool
    gains_password: Sequence[str] = ()


def report_test(
    upstream: str,
    candidates: Sequence[Candidate],
    agreed: Mapping[str, Digest],
    layer: Layer | None,
    *,
    rules: EndpointRules,
    complete: bool = True,
) -> UpstreamTest:
    """Return the report of a test; `rules` are those in the settings."""
    disputed = list_disputed(candidates, agreed)
    reports = [_report(each, agreed, disputed, each.url in rules.endpoints) for each in candidates]
    reports.sort(key=_rank)
    good = [each for each in reports if each.works and not each.differs]
    broken = [each for each in reports if (each.own or each.configured) and not each.works]
    broken = sorted(broken, key=lambda each: each.own) if good else []
    own_works = any(each.own and each.digests for each in reports)
    advice = advise_names(
        [each.endpoint for each in good],
        rules,
        own_works=own_works,
        has_own=any(each.own for each in (*good, *broken)),
    )
    return UpstreamTest(
        upstream,
        reports,
        agreed,
        layer,
        [each.endpoint for each in (*good, *broken)],
        own_works,
        advice.names,
        advice.trusted,
        complete,
    )


def _rank(report: CandidateReport) -> tuple[bool, bool, float]:
    known = report.seconds
    return not report.works, known is None, known or 0.0


def _report(
    candidate: Candidate,
    agreed: Mapping[str, Digest],
    disputed: Mapping[str, Mapping[str, Digest]],
    is_configured: bool,
) -> CandidateReport:
    known = candidate.performance
    return CandidateReport(
        endpoint=candidate.url,
        works=candidate.failed is None and known.rate is not None,
        own=candidate.is_own,
        configured=is_configured,
        seconds=known.estimate(IMAGE, known.at),
        failed=str(candidate.failed or ""),
        why=candidate.why,
        steps={str(step): seconds for step, seconds in candidate.seconds.items()},
        first_byte=known.first_byte,
        rate=known.rate,
        total=known.total,
        ranges=candidate.has_ranges,
        digests=dict(candidate.digests),
        differs=list_different(candidate, agreed),
        limit=candidate.limit,
        notes=list(_list_notes(candidate, disputed)),
    )


def _list_notes(
    candidate: Candidate, disputed: Mapping[str, Mapping[str, Digest]]
) -> Sequence[str]:
    notes = list(candidate.notes)
    if candidate.digests:
        notes += [f"{image}: {why}" for image, why in candidate.refused.items()]
    notes += [
        f"{image}: the candidates say different digests, and none of them is known to be right"
        for image in disputed
        if image in candidate.digests
    ]
    if candidate.breaks and candidate.failed is None:
        times = "once" if candidate.breaks == 1 else f"{candidate.breaks} times"
        notes.append(f"the connection broke {times} within the downloads, which went on")
    return notes


@dataclass(frozen=True, slots=True)
class MeasurementProgress:
    """How far a test is: `done` of `total` candidates are measured.

    One of the others is at `endpoint`, and is at `step`: `received` of `expected` bytes have come.
    """

    done: int
    total: int
    endpoint: str = ""
    step: str = ""
    received: int = 0
    expected: int = 0


def report_progress(candidates: Sequence[Candidate]) -> MeasurementProgress:
    """Return how far the test of these candidates is."""
    done, total = sum(each.is_done for each in candidates), len(candidates)
    running = next((each for each in candidates if each.running), None)
    if running is None:
        return MeasurementProgress(done, total)
    step = str(running.running)
    return MeasurementProgress(done, total, running.url, step, running.received, running.expected)


@dataclass(frozen=True, slots=True)
class KnownEndpoint:
    """What the mirror knows of an endpoint; `place` is its place in the order, from 1.

    Times are in seconds, rates in bytes per second; None means that it was never measured.
    `failing` is the part of requests that fail, 0 to 1. `wrong` counts how often wrong bytes came,
    and `right` the verified bytes since then. `suspect` says that these are too few, so that it is
    asked last. `measured` is when something was last measured (0: never). `max_rate` is what all
    endpoints of the upstream together may send now; None: unlimited. `outcomes` says how many
    requests to its host ended in which way since the running servers have started.
    """

    upstream: str
    endpoint: str
    place: int
    first_byte: float | None
    rate: float | None
    total: float | None
    failing: float
    right: int
    wrong: int
    suspect: bool
    measured: float
    max_rate: float | None = None
    outcomes: Mapping[str, int] = field(default_factory=dict)


def order_endpoints(
    upstream: str,
    urls: Sequence[str],
    known: Mapping[tuple[str, str], Performance],
    now: float,
    *,
    is_measured: bool = True,
) -> list[str]:
    """Return the endpoints of an upstream in the order in which a large blob asks them now.

    `urls` are in the order of the settings, and `now` is in epoch seconds. Those that have sent
    wrong bytes are last. If `is_measured` is false, the others stay in the order of the settings.
    """
    found = {url: known.get((upstream, url), Performance()) for url in urls}
    ranked = rank(urls, urls, lambda url: found[url].estimate(USUAL, now)) if is_measured else urls
    return sorted(
        ranked, key=lambda url: (found[url].is_distrusted, found[url].find_suspicion(now))
    )


def list_known(
    endpoints: Mapping[str, Sequence[str]],
    known: Mapping[tuple[str, str], Performance],
    rates: Mapping[str, float],
    outcomes: Outcomes = NO_OUTCOMES,
) -> list[KnownEndpoint]:
    """Return what is known of the `endpoints` of each upstream, in the order they are asked.

    `known` is by upstream and URL. An endpoint of which nothing is known has the default values.
    `rates` are what each upstream may send now, in bytes per second (infinity: unlimited).
    `outcomes` are by upstream and origin.
    """
    return [
        KnownEndpoint(
            upstream,
            url,
            place,
            found.first_byte,
            found.rate,
            found.total,
            found.failing,
            found.right,
            found.wrong,
            found.is_distrusted,
            found.at,
            rates[upstream] if math.isfinite(rates[upstream]) else None,
            outcomes.get((upstream, origin_of(url)), {}),
        )
        for upstream, urls in endpoints.items()
        for place, url in enumerate(urls, 1)
        for found in (known.get((upstream, url), Performance()),)
    ]
