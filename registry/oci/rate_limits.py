"""The pull limit of an upstream: how many manifests it lets a client pull in a period.

`upstream/` reads a limit from headers, and `catalog/` stores it. These rooms may not import each
other, so the type is in `oci/`.
"""

from dataclasses import dataclass


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
