"""The order in which blobs are evicted: the least recently used first; pinned ones never."""

import math
import sqlite3
from collections.abc import Collection
from dataclasses import dataclass

from registry.catalog.pins import KEPT
from registry.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class StoredBlobRecord:
    """A stored blob, its `size` in bytes, and when it was last `used` (epoch seconds)."""

    digest: Digest
    size: int
    used: float


# A manifest is evicted after its layers: it is small, and downloading it again counts as a pull.
_LIST_COLDEST = f"""
    {KEPT} SELECT digest, size, used, SUM(size) OVER () FROM blobs
        WHERE digest NOT IN (SELECT digest FROM kept)
        ORDER BY used, digest IN (SELECT digest FROM manifests)
"""  # noqa: S608


def list_coldest(
    rows: sqlite3.Connection, wanted: float = math.inf, without: Collection[Digest] = ()
) -> tuple[list[StoredBlobRecord], int]:
    """Return blobs without a pin until they have `wanted` bytes, the least recently used first.

    Blobs in `without` are left out. Also returns how many bytes all blobs without a pin have.
    """
    found: list[StoredBlobRecord] = []
    evictable = 0
    for name, size, used, total in rows.execute(_LIST_COLDEST):
        evictable = total
        if wanted <= 0:
            break
        digest = Digest.parse(name)
        if digest not in without:
            found.append(StoredBlobRecord(digest, size, used))
            wanted -= size
    return found, evictable
