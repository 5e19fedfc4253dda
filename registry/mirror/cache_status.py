"""Where an answer came from: the `X-Entrepot-Origin` header and the log say it."""

from enum import Enum


class CacheStatus(Enum):
    """How a manifest or blob came to be answered."""

    HIT = "hit"  # it was here
    MISS = "miss"  # fetched for this request
    JOINED = "joined"  # already being fetched for another request
    REVALIDATED = "revalidated"  # it was here, and the upstream says it is still right
    STALE = "stale"  # it was here; the upstream could not or would not say
    BUNDLE = "bundle"  # it came across the gap
