"""What a recovery finds on disk, and writes into a catalog that was lost."""

import sqlite3
from collections.abc import Sequence

from registry.catalog.database import Database
from registry.catalog.usage import count
from registry.oci.digest import Digest

# Blobs of another size than all say that refer to them; where nobody does, nobody contradicts.
_MISFITS = """
    SELECT digest, size FROM blobs
        WHERE digest IN (SELECT child FROM links)
        AND NOT EXISTS (SELECT 1 FROM links WHERE child = blobs.digest AND links.size = blobs.size)
"""


class RebuildCatalog:
    """Rows about files that nobody has told of."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record_blobs(self, blobs: Sequence[tuple[Digest, int]], now: float) -> None:
        """Record blobs that are on disk, where they are not recorded yet."""

        def change(rows: sqlite3.Connection) -> None:
            for digest, size in blobs:
                values = (str(digest), size, now)
                if rows.execute("INSERT OR IGNORE INTO blobs VALUES (?, ?, ?)", values).rowcount:
                    count(rows, size)

        await self._database.write(change)

    async def record_quarantined(self, blobs: Sequence[tuple[Digest, int]]) -> None:
        """Record what was set aside, where that is not recorded yet."""

        def change(rows: sqlite3.Connection) -> None:
            for digest, size in blobs:
                values = (str(digest), size)
                if rows.execute("INSERT OR IGNORE INTO quarantine VALUES (?, ?)", values).rowcount:
                    count(rows, size)

        await self._database.write(change)

    async def list_wrong_sizes(self) -> list[tuple[Digest, int]]:
        """Return the blobs whose size no manifest that refers to them says, with that size."""
        found = await self._database.survey(lambda rows: rows.execute(_MISFITS).fetchall())
        return [(Digest.parse(digest), size) for digest, size in found]
