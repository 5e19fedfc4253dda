"""What takes room: blobs, fills that were promised some, and files that are about to go.

Every change keeps the row of `usage` right in its own transaction, so that two processes can never
promise the same bytes twice.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from registry.catalog.database import Database
from registry.oci.digest import Digest
from registry.oci.names import Repository


@dataclass(frozen=True, slots=True)
class StoredBlobRecord:
    """A stored blob, its `size` in bytes, and when an image with it was last pulled (epoch s)."""

    digest: Digest
    size: int
    used: float


class RoomCatalog:
    """Rows about who takes how many bytes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def used(self) -> int:
        """Return the bytes that blobs, fills and the doomed take together."""
        return int(self._database.read("SELECT bytes FROM usage")[0][0])

    async def reserve(self, digest: Digest, size: int, limit: int) -> int:
        """Promise a fill `size` bytes in all, if everything together then fits into `limit`.

        Returns the bytes that are missing; with 0 the room is reserved.
        """

        def change(rows: sqlite3.Connection) -> int:
            former = _find(rows, "reservations", digest)
            used = int(rows.execute("SELECT bytes FROM usage").fetchone()[0])
            missing = used - former + size - limit
            if missing <= 0:
                _promise(rows, digest, size)
            return max(0, missing)

        return await self._database.write(change)

    async def settle(self, digest: Digest, size: int) -> None:
        """Note what the part of a fill that has ended still takes; 0 when it is gone."""
        await self._database.write(lambda rows: _promise(rows, digest, size))

    async def record(self, digest: Digest, size: int, now: float) -> None:
        """Record a blob that has just become whole on disk; its reservation is used up."""

        def change(rows: sqlite3.Connection) -> None:
            _promise(rows, digest, 0)
            _count(rows, size - _find(rows, "blobs", digest))
            rows.execute("INSERT OR REPLACE INTO blobs VALUES (?, ?, ?)", (str(digest), size, now))

        await self._database.write(change)

    async def record_found(self, blobs: Sequence[tuple[Digest, int]], now: float) -> None:
        """Record blobs that are on disk, where they are not recorded yet."""

        def change(rows: sqlite3.Connection) -> None:
            for digest, size in blobs:
                values = (str(digest), size, now)
                if rows.execute("INSERT OR IGNORE INTO blobs VALUES (?, ?, ?)", values).rowcount:
                    _count(rows, size)

        await self._database.write(change)

    def list_reservations(self) -> list[Digest]:
        """Return whose fills were promised room."""
        rows = self._database.read("SELECT digest FROM reservations")
        return [Digest.parse(row[0]) for row in rows]

    async def list_blobs(self) -> list[StoredBlobRecord]:
        """Return every stored blob, those that were not used for longest first."""
        rows = await self._database.survey(
            "WITH warmth AS (SELECT child AS digest, MAX(pulled) AS used FROM links"
            " JOIN pulls ON pulls.digest = links.parent GROUP BY child"
            " UNION ALL SELECT digest, MAX(pulled) FROM pulls GROUP BY digest)"
            " SELECT blobs.digest, size, MAX(stored, COALESCE(MAX(used), 0)) AS last FROM blobs"
            " LEFT JOIN warmth USING (digest) GROUP BY blobs.digest"
            # A manifest outlives its layers: it is small, and spares the pull budget.
            " ORDER BY last, blobs.digest IN (SELECT digest FROM manifests)"
        )
        return [StoredBlobRecord(Digest.parse(name), size, used) for name, size, used in rows]

    async def doom(self, digest: Digest) -> None:
        """Forget a stored blob, whose file is deleted next."""

        def change(rows: sqlite3.Connection) -> None:
            size = _find(rows, "blobs", digest)
            rows.execute("DELETE FROM blobs WHERE digest = ?", (str(digest),))
            rows.execute("INSERT OR IGNORE INTO doomed VALUES (?, ?)", (str(digest), size))

        await self._database.write(change)

    async def bury(self, digest: Digest) -> None:
        """Note that the file of a doomed blob is gone."""

        def change(rows: sqlite3.Connection) -> None:
            _count(rows, -_find(rows, "doomed", digest))
            rows.execute("DELETE FROM doomed WHERE digest = ?", (str(digest),))

        await self._database.write(change)

    def list_doomed(self) -> list[Digest]:
        """Return the blobs whose deletion was begun and, by a crash, perhaps not ended."""
        return [Digest.parse(row[0]) for row in self._database.read("SELECT digest FROM doomed")]

    async def note_pulls(self, pulls: Sequence[tuple[Repository, Digest, float]]) -> None:
        """Record when images were last pulled (epoch seconds)."""
        values = [(str(digest), str(repository), pulled) for repository, digest, pulled in pulls]
        await self._database.write(
            lambda rows: rows.executemany(
                "INSERT INTO pulls VALUES (?, ?, ?) ON CONFLICT DO UPDATE"
                " SET pulled = MAX(pulled, excluded.pulled)",
                values,
            )
        )


def _find(rows: sqlite3.Connection, table: str, digest: Digest) -> int:
    # The table's name is one of ours, never a stranger's.
    query = f"SELECT size FROM {table} WHERE digest = ?"  # noqa: S608
    found = rows.execute(query, (str(digest),)).fetchone()
    return int(found[0]) if found else 0


def _promise(rows: sqlite3.Connection, digest: Digest, size: int) -> None:
    _count(rows, size - _find(rows, "reservations", digest))
    if size:
        rows.execute("INSERT OR REPLACE INTO reservations VALUES (?, ?)", (str(digest), size))
    else:
        rows.execute("DELETE FROM reservations WHERE digest = ?", (str(digest),))


def _count(rows: sqlite3.Connection, more: int) -> None:
    rows.execute("UPDATE usage SET bytes = bytes + ?", (more,))
