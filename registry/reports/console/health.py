"""Whether all is well, in one finding: the worst one. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from registry.oci.rate_limits import RateLimit
from registry.reports.status import FEW_PULLS, MOST_PINNED

Fact = str | int | float


@dataclass(frozen=True, slots=True)
class Health:
    """The worst finding: `state` is `ok`, `warn` or `fail`, `finding` names it.

    `facts` are its numbers and names, and `page` is where more is said of it.
    """

    state: str
    finding: str
    facts: Mapping[str, Fact] = field(default_factory=dict)
    page: str = ""


@dataclass(frozen=True, slots=True)
class Signs:
    """What is known of a server at one moment.

    `trouble` is why some pulls cannot be answered (empty: all can). `outages` has, by upstream,
    when it last gave no answer (epoch seconds). `refused` is how often a blob was not stored today.
    `has_reserve` if the disk has the space that is to stay free. `pinned` is None if it was not
    added up yet.
    """

    now: float
    trouble: str = ""
    is_offline: bool = False
    outages: Mapping[str, float] = field(default_factory=dict)
    damaged: int = 0
    limit: int = 0
    pinned: int | None = None
    pull_limits: Sequence[RateLimit] = ()
    refused: int = 0
    has_reserve: bool = True


def find_worst(signs: Signs) -> Health:
    """Return the finding that an operator should read first, in the order of `entrepot status`."""
    if signs.trouble:
        return Health("fail", "trouble", {"why": signs.trouble})
    if signs.outages:
        upstream, failed_at = max(signs.outages.items(), key=lambda each: each[1])
        silent: dict[str, Fact] = {"upstream": upstream, "failed_at": failed_at}
        return Health("warn", "outage", silent, "/upstreams")
    for each in signs.pull_limits:
        if each.is_current(signs.now) and each.remaining < FEW_PULLS * each.allowed:
            left: dict[str, Fact] = {"endpoint": each.endpoint, "remaining": each.remaining}
            return Health("warn", "pull_limit", left, "/upstreams")
    return _find_worst_of_space(signs) or Health("ok", "offline" if signs.is_offline else "ok")


def _find_worst_of_space(signs: Signs) -> Health | None:
    if signs.refused:
        return Health("warn", "not_stored", {"times": signs.refused}, "/events")
    if not signs.has_reserve:
        return Health("warn", "no_space")
    if signs.damaged:
        return Health("warn", "damaged", {"bytes": signs.damaged}, "/events")
    if signs.limit and signs.pinned is not None and signs.pinned > MOST_PINNED * signs.limit:
        return Health("warn", "pinned", {"bytes": signs.pinned}, "/images?pinned=1")
    return None
