"""Pull limits: how many requests a command needs, how many are left, and when it stops."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from registry.cli.terminal import format_age, format_count
from registry.errors import UpstreamThrottled
from registry.reports.pull_limits import PullLimit
from registry.settings.values import format_duration

if TYPE_CHECKING:
    from registry.oci.rate_limits import RateLimit


class BudgetTracker:
    """Counts how many requests each registry still allows, for registries with a known limit."""

    def __init__(
        self, limits: "Mapping[str, RateLimit]", clock: Callable[[], float] = time.time
    ) -> None:
        """`limits` has the pull limit of each registry by name."""
        self._limits = limits
        self._clock = clock
        self._left = {registry: limit.remaining for registry, limit in limits.items()}

    def spend(self, registry: str, requests: int) -> None:
        """Subtract the requests that an image needs at least from the limit of its registry.

        A limit of which the period is over by now does not count any more.

        Raises:
            UpstreamThrottled: too few are left, so the image could not be fetched completely.
        """
        left, limit = self._left.get(registry), self._limits.get(registry)
        if left is None or limit is None or not limit.is_current(self._clock()):
            return
        if requests > left:
            why = f"needs {requests} manifest requests or more, and its pull limit has {left} left"
            raise UpstreamThrottled(registry, why, limit.seen + limit.period - self._clock())
        self._left[registry] = left - requests


def draw_limits(limits: Sequence[PullLimit]) -> list[str]:
    """Return a line for each registry that gets requests which count against its limit."""
    return [_describe(each) for each in limits if each.max_requests != 0]


def _describe(limit: PullLimit) -> str:
    text = f"{limit.registry}: this needs {_format_range(limit)}"
    if limit.remaining is None or limit.period is None:
        return f"{text}; the registry has reported no pull limit"
    period = format_duration(limit.period)
    text += f"; {limit.remaining} of {limit.allowed} in {period} are left of the pull limit"
    text += f" (reported {format_age(limit.seen or 0)})"
    if limit.min_requests > limit.remaining:
        text += "; those beyond that will fail: run the command again later, and it continues"
    return text


def _format_range(limit: PullLimit) -> str:
    if limit.max_requests is None:
        return f"{limit.min_requests} or more manifest requests"
    if limit.min_requests == limit.max_requests:
        return format_count(limit.min_requests, "manifest request")
    return f"{limit.min_requests} to {limit.max_requests} manifest requests"
