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


@dataclass(frozen=True, slots=True)
class Recent:
    """The times of use (epoch seconds) of blobs that must stay: after `since`, up to `until`.

    A time after `until` was recorded by a clock that was wrong: it protects nothing.
    """

    since: float = math.inf
    until: float = math.inf


NOTHING_RECENT = Recent()
_LIST_PINNED = f"{KEPT} SELECT digest, size, used FROM kept JOIN blobs USING (digest)"  # noqa: S608 - constants of ours
_SUM_OTHERS = "SELECT COALESCE(SUM(size), 0) FROM blobs WHERE NOT (used > ? AND used <= ?)"
# A manifest is evicted after its layers: it is small, and downloading it again counts as a pull.
# The rows come in the order of an index, so that only those are read that are needed.
_LIST_BLOBS = """
    SELECT digest, size, used FROM blobs ORDER BY used, digest IN (SELECT digest FROM manifests)
"""


def list_coldest(
    rows: sqlite3.Connection,
    wanted: float = math.inf,
    without: Collection[Digest] = (),
    recent: Recent = NOTHING_RECENT,
) -> tuple[list[StoredBlobRecord], int]:
    """Return blobs without a pin until they have `wanted` bytes, the least recently used first.

    Blobs in `without`, and `recent` ones, are left out. Also returns how many bytes all blobs have
    that are neither pinned nor recent.
    """
    pinned = {name: (size, used) for name, size, used in rows.execute(_LIST_PINNED)}
    total = rows.execute(_SUM_OTHERS, (recent.since, recent.until)).fetchone()[0]
    found: list[StoredBlobRecord] = []
    for name, size, used in rows.execute(_LIST_BLOBS):
        if wanted <= 0:
            break
        if recent.since < used <= recent.until:
            continue
        if name not in pinned and name not in without:
            found.append(StoredBlobRecord(Digest.parse(name), size, used))
            wanted -= size
    kept = (size for size, used in pinned.values() if not recent.since < used <= recent.until)
    return found, total - sum(kept)
