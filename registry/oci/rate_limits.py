"""The pull limit of an upstream: how many manifests it lets a client pull in a period.

`upstream/` reads a limit from headers, and `catalog/` stores it. These rooms may not import each
other, so the type is in `oci/`.
"""

from dataclasses import dataclass

CLOCK_ERROR = 60.0  # seconds by which the clock may be set back without a doubt about limits


@dataclass(frozen=True, slots=True)
class RateLimit:
    """An endpoint allows `allowed` counted requests in `period` seconds, and `remaining` are left.

    The endpoint with the origin `endpoint` reported this at the time `seen` (epoch seconds). It
    counts the requests of the user `identity` (empty for anonymous requests), or those from the
    address `source` (empty if the endpoint does not name it).
    """

    endpoint: str
    identity: str
    allowed: int
    remaining: int
    period: float
    source: str
    seen: float

    def is_current(self, now: float) -> bool:
        """Whether the limit still says something at `now` (epoch seconds): its period is not over.

        If it was reported in the future, the clock was wrong then, and nobody knows when the period
        ends.
        """
        return -CLOCK_ERROR <= now - self.seen < self.period

    def allows(self, requests: float, keep: int) -> bool:
        """Whether so many more requests would leave `keep` of those that remain."""
        return self.remaining - requests >= keep
