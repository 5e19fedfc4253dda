"""Making rows again from the files after the catalog was lost."""

import sqlite3
from collections.abc import Sequence

from registry.catalog.database import Database
from registry.catalog.usage import count
from registry.oci.digest import Digest

# Blobs whose size on disk differs from the size in every manifest that refers to them.
_LIST_WRONG_SIZES = """
    SELECT digest, size FROM blobs
        WHERE digest IN (SELECT child FROM links)
        AND NOT EXISTS (SELECT 1 FROM links WHERE child = blobs.digest AND links.size = blobs.size)
"""


class RebuildCatalog:
    """Inserts rows for files that are on the disk and not recorded."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record_blobs(self, blobs: Sequence[tuple[Digest, int]], now: float) -> None:
        """Record blobs of these sizes (bytes) that are on disk and not recorded yet."""

        def change(rows: sqlite3.Connection) -> None:
            for digest, size in blobs:
                values = (str(digest), size, now)
                if rows.execute("INSERT OR IGNORE INTO blobs VALUES (?, ?, ?)", values).rowcount:
                    count(rows, size)

        await self._database.write(change)

    async def record_quarantined(self, blobs: Sequence[tuple[Digest, int]]) -> None:
        """Record quarantined files of these sizes (bytes) that are not recorded yet."""

        def change(rows: sqlite3.Connection) -> None:
            for digest, size in blobs:
                values = (str(digest), size)
                if rows.execute("INSERT OR IGNORE INTO quarantine VALUES (?, ?)", values).rowcount:
                    count(rows, size)

        await self._database.write(change)

    async def list_wrong_sizes(self) -> list[tuple[Digest, int]]:
        """Return the blobs whose size on disk differs from the size in every manifest.

        Each comes with its size on disk in bytes. Blobs that no manifest refers to are left out.
        """
        found = await self._database.survey(lambda rows: rows.execute(_LIST_WRONG_SIZES).fetchall())
        return [(Digest.parse(digest), size) for digest, size in found]
