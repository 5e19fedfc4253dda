"""The reports of pull limits: the requests that a command needs, and those that are left."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from registry.oci.rate_limits import RateLimit


@dataclass(frozen=True, slots=True)
class Estimate:
    """The cost of fetching an image.

    It takes at least `min_requests` and at most `max_requests` requests that count against the pull
    limit; `max_requests` is None if this is not known. `missing_bytes` have to be downloaded; it is
    None if a manifest is not stored yet, because only the manifest has the sizes.
    """

    min_requests: int
    max_requests: int | None
    missing_bytes: int | None

    @classmethod
    def of(cls, least: int, most: float, missing: int | None) -> Self:
        """Return the report of these numbers of requests, where infinity is not known."""
        return cls(least, int(most) if math.isfinite(most) else None, missing)


@dataclass(frozen=True, slots=True)
class PullLimit:
    """The requests that a command needs at a registry, and those that are left.

    At the time `seen` (epoch seconds) the registry reported that `remaining` of `allowed` requests
    in `period` seconds were left. These four are None if the registry has reported no limit.
    """

    registry: str
    min_requests: int
    max_requests: int | None
    remaining: int | None = None
    allowed: int | None = None
    period: float | None = None
    seen: float | None = None


def add_up(
    needs: Sequence[tuple[str, Estimate]], limits: "Mapping[str, RateLimit]"
) -> list[PullLimit]:
    """Return the needed requests of each registry, in order of first appearance.

    `needs` are pairs of a registry and the estimate for an image; `limits` are by registry.
    """
    found = []
    for registry in dict.fromkeys(name for name, _ in needs):
        estimates = [each for name, each in needs if name == registry]
        known = [each.max_requests for each in estimates if each.max_requests is not None]
        limit = limits.get(registry)
        reported = (limit.remaining, limit.allowed, limit.period, limit.seen) if limit else ()
        found.append(
            PullLimit(
                registry,
                sum(each.min_requests for each in estimates),
                sum(known) if len(known) == len(estimates) else None,
                *reported,
            )
        )
    return found
