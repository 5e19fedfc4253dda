"""The pull limit of an upstream: how many manifests it lets a client pull in a period.

`upstream/` reads a limit from headers, and `catalog/` stores it. These rooms may not import each
other, so the type is in `oci/`.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RateLimit:
    """`remaining` of `allowed` counted requests in `period` seconds.

    The endpoint with the origin `endpoint` reported this at the time `seen` (epoch seconds). It
    counts requests by `identity` (a user name; empty for anonymous requests) or by `source` (an
    address; empty if it does not say).
    """

    endpoint: str
    identity: str
    allowed: int
    remaining: int
    period: float
    source: str
    seen: float
