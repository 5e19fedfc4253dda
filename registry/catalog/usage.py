"""What takes room: blobs, fills that were promised some, and files that are set aside or to go.

Every change keeps the row of `usage` right in its own transaction, so that two processes can never
promise the same bytes twice.
"""

import math
import sqlite3
from collections.abc import Collection
from dataclasses import dataclass

from registry.catalog.database import Database
from registry.catalog.last_used import find_last_pull, mark_stored
from registry.catalog.pins import KEPT, is_kept
from registry.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class StoredBlobRecord:
    """A stored blob, its `size` in bytes, and when an image with it was last pulled (epoch s)."""

    digest: Digest
    size: int
    used: float


@dataclass(frozen=True, slots=True)
class Use:
    """Bytes by what takes them: `blobs` are whole, `fills` arriving, `quarantined` set aside.

    `count` is the number of blobs, `pinned` the bytes of those among them that pins keep.
    """

    blobs: int
    count: int
    pinned: int
    fills: int
    quarantined: int


_PINNED = f"{KEPT} SELECT COALESCE(SUM(size), 0) FROM blobs JOIN kept USING (digest)"  # noqa: S608
_LOOSE = f"{KEPT} SELECT COALESCE(SUM(size), 0) FROM blobs WHERE digest NOT IN kept"  # noqa: S608
# A manifest outlives its layers: it is small, and spares the pull budget.
_COLDEST = f"""
    {KEPT} SELECT digest, size, used FROM blobs
        WHERE digest NOT IN (SELECT digest FROM kept)
        ORDER BY used, digest IN (SELECT digest FROM manifests)
"""  # noqa: S608


class UsageCatalog:
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

    async def settle(self, digest: Digest, size: int) -> int:
        """Note what the part of a fill that has ended still takes; 0 when it is gone.

        Returns how many bytes of what it was promised are free again.
        """
        return -await self._database.write(lambda rows: _promise(rows, digest, size))

    def count_promised(self, without: Digest) -> int:
        """Return the bytes that all fills but one were promised, or have left behind."""
        query = "SELECT COALESCE(SUM(size), 0) FROM reservations WHERE digest != ?"
        return int(self._database.read(query, (str(without),))[0][0])

    async def count_evictable(self) -> int:
        """Return the bytes of the blobs that no pin keeps."""
        return int(await self._database.survey(lambda rows: rows.execute(_LOOSE).fetchone()[0]))

    def is_promised(self, digest: Digest) -> bool:
        """Whether a fill was promised room, or has left a part."""
        query = "SELECT 1 FROM reservations WHERE digest = ?"
        return bool(self._database.read(query, (str(digest),)))

    async def record(self, digest: Digest, size: int, now: float) -> None:
        """Record a blob that has just become whole on disk; its reservation is used up."""

        def change(rows: sqlite3.Connection) -> None:
            _promise(rows, digest, 0)
            count(rows, size - _find(rows, "blobs", digest))
            rows.execute("INSERT OR REPLACE INTO blobs VALUES (?, ?, ?)", (str(digest), size, now))
            mark_stored(rows, digest, now)

        await self._database.write(change)

    async def record_orphan(self, digest: Digest, size: int, now: float) -> bool:
        """Record a blob found on disk, unless it is recorded, being filled, or about to go."""

        def change(rows: sqlite3.Connection) -> bool:
            tables = ("blobs", "reservations", "doomed", "quarantine")
            if any(_find(rows, table, digest) for table in tables):
                return False
            rows.execute("INSERT OR REPLACE INTO blobs VALUES (?, ?, ?)", (str(digest), size, now))
            count(rows, size)
            return True

        return await self._database.write(change)

    def list_reservations(self) -> list[Digest]:
        """Return whose fills were promised room."""
        rows = self._database.read("SELECT digest FROM reservations")
        return [Digest.parse(row[0]) for row in rows]

    async def list_coldest(
        self, wanted: float = math.inf, without: Collection[Digest] = ()
    ) -> list[StoredBlobRecord]:
        """Return blobs that no pin keeps, those not used for longest first, of `wanted` bytes.

        That is fewer where there are no more, and none of those in `without`.
        """
        return await self._database.survey(lambda rows: _list_coldest(rows, wanted, without))

    async def break_down(self) -> Use:
        """Add up what takes room."""

        def add_up(rows: sqlite3.Connection) -> Use:
            query = "SELECT COALESCE(SUM(size), 0), COUNT(*) FROM"
            (blobs, count), (fills, _), (quarantined, _) = (
                rows.execute(f"{query} {table}").fetchone()
                for table in ("blobs", "reservations", "quarantine")
            )
            pinned = rows.execute(_PINNED).fetchone()[0]
            return Use(blobs, count, pinned, fills, quarantined)

        return await self._database.survey(add_up)

    def find_size(self, digest: Digest) -> int | None:
        """Return the size in bytes that a stored blob was recorded with; None when it was not."""
        rows = self._database.read("SELECT size FROM blobs WHERE digest = ?", (str(digest),))
        return int(rows[0][0]) if rows else None

    def list_after(self, position: str, most: int) -> list[tuple[Digest, float]]:
        """Return the next stored blobs in the order of digests, and when each was last used."""
        rows = self._database.read(
            "SELECT digest, used FROM blobs WHERE digest > ? ORDER BY digest LIMIT ?",
            (position, most),
        )
        return [(Digest.parse(digest), used) for digest, used in rows]

    async def drop(self, digest: Digest, used: float | None = None) -> bool:
        """Forget a blob whose file is gone, unless it has been recorded again since `used`."""

        def change(rows: sqlite3.Connection) -> bool:
            size = _find(rows, "blobs", digest)
            query = "DELETE FROM blobs WHERE digest = ?1 AND used = COALESCE(?2, used)"
            is_gone = rows.execute(query, (str(digest), used)).rowcount > 0
            count(rows, -size if is_gone else 0)
            return is_gone

        return await self._database.write(change)

    async def mark_deleting(self, digest: Digest) -> int | None:
        """Forget a stored blob, whose file is deleted next, and return its size in bytes.

        Returns None, and forgets nothing, when a pin keeps the blob. Pins are looked at in the same
        transaction, since one may have been put after the deletion was planned.
        """
        return await self._database.write(
            lambda rows: None if is_kept(rows, digest) else _move(rows, digest, "doomed")
        )

    async def spare(self, digest: Digest) -> bool:
        """Record a doomed blob again if a pin keeps it; whether it did.

        The file of the blob must be there, and no other process may be deleting it.
        """

        def change(rows: sqlite3.Connection) -> bool:
            if not is_kept(rows, digest):
                return False
            query = (
                "INSERT OR IGNORE INTO blobs SELECT digest, size, ?2 FROM doomed WHERE digest = ?1"
            )
            used = find_last_pull(rows, digest)
            is_spared = rows.execute(query, (str(digest), used)).rowcount > 0
            if is_spared:
                rows.execute("DELETE FROM doomed WHERE digest = ?", (str(digest),))
            return is_spared

        return await self._database.write(change)

    async def mark_deleted(self, digest: Digest) -> None:
        """Note that the file of a doomed blob is gone."""
        await self._remove_row(digest, "doomed")

    def list_deleting(self) -> list[Digest]:
        """Return the blobs whose deletion was begun and, by a crash, perhaps not ended."""
        return [Digest.parse(row[0]) for row in self._database.read("SELECT digest FROM doomed")]

    async def quarantine(self, digest: Digest, size: int) -> None:
        """Forget a stored blob of `size` bytes on disk, whose file is set aside next."""
        await self._database.write(lambda rows: _move(rows, digest, "quarantine", size))

    async def release(self, digest: Digest) -> None:
        """Note that a file that was set aside is gone."""
        await self._remove_row(digest, "quarantine")

    def list_quarantined(self) -> list[tuple[Digest, int]]:
        """Return what was set aside, with its size in bytes."""
        rows = self._database.read("SELECT digest, size FROM quarantine")
        return [(Digest.parse(name), size) for name, size in rows]

    async def _remove_row(self, digest: Digest, table: str) -> None:
        def change(rows: sqlite3.Connection) -> None:
            count(rows, -_find(rows, table, digest))
            query = f"DELETE FROM {table} WHERE digest = ?"  # noqa: S608
            rows.execute(query, (str(digest),))

        await self._database.write(change)

    async def forget_work(self) -> None:
        """Forget fills, deletions and quarantine, whose files a backup has not; count again."""

        def change(rows: sqlite3.Connection) -> None:
            for table in ("reservations", "doomed", "quarantine"):
                rows.execute(f"DELETE FROM {table}")  # noqa: S608
            rows.execute("UPDATE usage SET bytes = (SELECT COALESCE(SUM(size), 0) FROM blobs)")

        await self._database.write(change)


def _list_coldest(
    rows: sqlite3.Connection, wanted: float, without: Collection[Digest]
) -> list[StoredBlobRecord]:
    found: list[StoredBlobRecord] = []
    for name, size, used in rows.execute(_COLDEST):
        if wanted <= 0:
            break
        digest = Digest.parse(name)
        if digest not in without:
            found.append(StoredBlobRecord(digest, size, used))
            wanted -= size
    return found


def _find(rows: sqlite3.Connection, table: str, digest: Digest) -> int:
    # The table's name is one of ours, never a stranger's.
    query = f"SELECT size FROM {table} WHERE digest = ?"  # noqa: S608
    found = rows.execute(query, (str(digest),)).fetchone()
    return int(found[0]) if found else 0


def _move(rows: sqlite3.Connection, digest: Digest, table: str, size: int | None = None) -> int:
    """Move a blob's row to another table, and return its bytes there: `size`, or what it had."""
    former = _find(rows, "blobs", digest)
    after = former if size is None else size
    rows.execute("DELETE FROM blobs WHERE digest = ?", (str(digest),))
    count(rows, after - former - _find(rows, table, digest))
    query = f"INSERT OR REPLACE INTO {table} VALUES (?, ?)"  # noqa: S608
    rows.execute(query, (str(digest), after))
    return after


def _promise(rows: sqlite3.Connection, digest: Digest, size: int) -> int:
    more = size - _find(rows, "reservations", digest)
    count(rows, more)
    if size:
        rows.execute("INSERT OR REPLACE INTO reservations VALUES (?, ?)", (str(digest), size))
    else:
        rows.execute("DELETE FROM reservations WHERE digest = ?", (str(digest),))
    return more


def count(rows: sqlite3.Connection, more: int) -> None:
    """Count `more` bytes as taken, in the transaction that has them taken."""
    rows.execute("UPDATE usage SET bytes = bytes + ?", (more,))
