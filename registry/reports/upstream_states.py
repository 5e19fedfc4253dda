"""The report of whether upstreams answer, and of their pull limits."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry.content.server_state import EndpointState

if TYPE_CHECKING:
    from registry.oci.rate_limits import RateLimit


@dataclass(frozen=True, slots=True)
class EndpointReport:
    """Whether an endpoint (its origin) answers; None if it was not asked since the server's start.

    `last_success` is when it last answered (epoch seconds; 0: not since then). `outcomes` says how
    many requests to it ended in which way since then, such as `ok` or `absent`.
    """

    endpoint: str
    answers: bool | None
    last_success: float
    outcomes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class PullBudget:
    """An endpoint allows `remaining` of `allowed` pulls to a user until `resets` (epoch seconds).

    `identity` is the user; it is empty for anonymous requests.
    """

    endpoint: str
    identity: str
    remaining: int
    allowed: int
    resets: float


@dataclass(frozen=True, slots=True)
class UpstreamReport:
    """Whether an upstream answers: one of its endpoints does; None if none was asked."""

    upstream: str
    answers: bool | None
    last_success: float
    endpoints: Sequence[EndpointReport]
    budgets: Sequence[PullBudget]


def report_upstreams(
    upstreams: Mapping[str, Sequence[tuple[str, str]]],
    states: Mapping[tuple[str, str], EndpointState],
    limits: "Iterable[RateLimit]",
    now: float,
) -> list[UpstreamReport]:
    """Return the report of each upstream; `now` is in epoch seconds. Pure.

    `upstreams` has origin and user of each endpoint; `states` are by upstream and origin.
    """
    current = [each for each in limits if each.is_current(now)]
    return [_report(name, endpoints, states, current) for name, endpoints in upstreams.items()]


def _report(
    name: str,
    endpoints: Sequence[tuple[str, str]],
    states: Mapping[tuple[str, str], EndpointState],
    limits: "Sequence[RateLimit]",
) -> UpstreamReport:
    found = {
        origin: states.get((name, origin), EndpointState())
        for origin in dict.fromkeys(origin for origin, _ in endpoints)
    }
    asked = [each.answers for each in found.values() if each.answers is not None]
    return UpstreamReport(
        name,
        any(asked) if asked else None,
        max((each.last_success for each in found.values()), default=0.0),
        [
            EndpointReport(origin, each.answers, each.last_success, each.outcomes)
            for origin, each in found.items()
        ],
        [
            PullBudget(
                each.endpoint, each.identity, each.remaining, each.allowed, each.seen + each.period
            )
            for each in limits
            if (each.endpoint, each.identity) in endpoints
        ],
    )
