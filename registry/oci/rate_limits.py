"""The pull limit of an upstream: how many manifests it lets a client pull in a period.

Rooms that may not import each other use this type: `upstream/` reads a limit from headers, and
`catalog/` stores it.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RateLimit:
    """`remaining` of `allowed` counted requests in `period` seconds.

    `endpoint` is the origin that said so, at the time `seen` (epoch seconds). It counts requests by
    `identity` (a user name, empty for anonymous) or by `source` (an address, empty if not said).
    """

    endpoint: str
    identity: str
    allowed: int
    remaining: int
    period: float
    source: str
    seen: float
