"""Which registry has delivered the bytes of which digest, or has proved that it has them.

A digest can be a blob or a manifest. The rows of a digest are deleted with its row in `blobs`, by a
trigger.
"""

import sqlite3
from collections.abc import Iterable

from registry.catalog.database import Database
from registry.oci.digest import Digest


class DeliveryCatalog:
    """Rows that say whose bytes the stored ones are (decision record 0030)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list_registries(self, digest: Digest) -> frozenset[str]:
        """Return the registries that have delivered these bytes, or proved that they have them."""
        query = "SELECT registry FROM deliveries WHERE digest = ?"
        return frozenset(row[0] for row in self._database.read(query, (str(digest),)))

    async def record(self, digest: Digest, registry: str, now: float) -> None:
        """Record that `registry` has proved at `now` that it has the bytes of a stored blob."""
        await self._database.write(lambda rows: insert_stored(rows, [digest], registry, now))


def insert_stored(
    rows: sqlite3.Connection, digests: Iterable[Digest], registry: str, now: float
) -> None:
    """Insert that `registry` has these bytes; digests that are not stored are left out.

    This runs in the caller's transaction.
    """
    rows.executemany(
        "INSERT OR IGNORE INTO deliveries SELECT digest, ?2, ?3 FROM blobs WHERE digest = ?1",
        [(str(digest), registry, now) for digest in digests],
    )
