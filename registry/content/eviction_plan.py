"""Which blobs make room for others. Pure."""

import math
from collections.abc import Iterable

from registry.catalog.usage import StoredBlobRecord


def plan_eviction(
    coldest_first: Iterable[StoredBlobRecord], wanted: int, most: float = math.inf
) -> list[StoredBlobRecord]:
    """Return which blobs to delete, in order, to free `wanted` bytes or as many as there are.

    The first with which it would be more than `most` bytes stays, and what is warmer.
    """
    victims: list[StoredBlobRecord] = []
    for blob in coldest_first:
        if wanted <= 0 or blob.size > most:
            break
        if blob.size:
            victims.append(blob)
            wanted -= blob.size
            most -= blob.size
    return victims
