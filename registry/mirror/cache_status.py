"""Where the mirror got an answer from, for the header `X-Entrepot-Origin` and the access log."""

from enum import Enum


class CacheStatus(Enum):
    """How the mirror came by a manifest or a blob that it serves."""

    HIT = "hit"  # it was stored here
    MISS = "miss"  # it was downloaded for this request
    JOINED = "joined"  # it was already being downloaded for another request
    REVALIDATED = "revalidated"  # it was stored here, and the upstream said that it is current
    STALE = "stale"  # it was stored here, and the upstream did not say whether it is current
    BUNDLE = "bundle"  # it is served from a bundle

    @property
    def is_stored(self) -> bool:
        """Whether it was here, and no upstream was asked or had to be asked."""
        return self in (CacheStatus.HIT, CacheStatus.BUNDLE)
