"""The facts of the page of upstreams: who answers, how fast, and what is left of pull limits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from registry.oci.rate_limits import RateLimit
from registry.reports.upstreams import KnownEndpoint


@dataclass(frozen=True, slots=True)
class PullLimitReport:
    """`remaining` of `allowed` pulls are left at an endpoint until `resets` (epoch seconds).

    `identity` is the user that the endpoint counts for; empty: the address of this mirror.
    """

    endpoint: str
    identity: str
    remaining: int
    allowed: int
    resets: float


@dataclass(frozen=True, slots=True)
class UpstreamReport:
    """An upstream: `state` is `ok`, `silent`, `unused` or `offline`.

    `failed_at` is when it last gave no answer (epoch seconds, 0: it answers). `has_password`
    says whether it is asked with a password. The endpoints are in the order in which they are
    asked.
    """

    upstream: str
    state: str
    failed_at: float
    has_password: bool
    is_default: bool
    endpoints: Sequence[KnownEndpoint]
    limits: Sequence[PullLimitReport]

    @property
    def is_used(self) -> bool:
        """Whether anything was measured of it, or is wrong with it."""
        return self.state in ("ok", "silent")


@dataclass(frozen=True, slots=True)
class UpstreamFacts:
    """What is known of one upstream, from settings, catalog and memory."""

    name: str
    origins: Sequence[str]
    failed_at: float
    has_password: bool
    is_default: bool


def report_upstreams(
    facts: Sequence[UpstreamFacts],
    endpoints: Sequence[KnownEndpoint],
    limits: Sequence[RateLimit],
    now: float,
    *,
    is_offline: bool,
) -> list[UpstreamReport]:
    """Return the reports of upstreams; those that were used come first."""
    by_name: dict[str, list[KnownEndpoint]] = {}
    for each in endpoints:
        by_name.setdefault(each.upstream, []).append(each)
    current = [each for each in limits if each.is_current(now)]
    reports = [
        _report(each, by_name.get(each.name, []), current, is_offline=is_offline) for each in facts
    ]
    return sorted(reports, key=lambda each: not each.is_used)


def _report(
    facts: UpstreamFacts,
    endpoints: Sequence[KnownEndpoint],
    limits: Sequence[RateLimit],
    *,
    is_offline: bool,
) -> UpstreamReport:
    own = [
        PullLimitReport(
            each.endpoint, each.identity, each.remaining, each.allowed, each.seen + each.period
        )
        for each in limits
        if each.endpoint in facts.origins
    ]
    state = "ok" if any(each.measured for each in endpoints) or own else "unused"
    if facts.failed_at:
        state = "silent"
    return UpstreamReport(
        facts.name,
        "offline" if is_offline else state,
        facts.failed_at,
        facts.has_password,
        facts.is_default,
        endpoints,
        own,
    )


@dataclass(frozen=True, slots=True)
class UpstreamList:
    """All upstreams; `rates` describes the limits of their rates, by name, where there is one."""

    upstreams: Sequence[UpstreamReport]
    rates: Mapping[str, str]
