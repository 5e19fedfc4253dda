"""Which blobs make room for others. Pure."""

import math
from collections.abc import Collection, Iterable

from registry.catalog.room import StoredBlobRecord
from registry.oci.digest import Digest


def plan_eviction(
    coldest_first: Iterable[StoredBlobRecord],
    wanted: int,
    kept: Collection[Digest],
    most: float = math.inf,
) -> list[StoredBlobRecord]:
    """Return which blobs to delete, in order, to free `wanted` bytes or as many as there are.

    Those in `kept` stay, whatever happens; so does the first with which it would be more than
    `most` bytes, and what is warmer.
    """
    victims: list[StoredBlobRecord] = []
    for blob in coldest_first:
        if wanted <= 0 or blob.size > most:
            break
        if blob.digest not in kept and blob.size:
            victims.append(blob)
            wanted -= blob.size
            most -= blob.size
    return victims
