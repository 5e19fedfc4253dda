"""How many bytes the store uses: blobs, reservations of downloads, quarantined and deleted files.

Every change updates the row of the table `usage` in its own transaction, so that two processes
never reserve the same bytes twice. The table `doomed` has blobs whose file is being deleted.
"""

import math
import sqlite3
from collections.abc import Collection
from dataclasses import dataclass

from registry.catalog.database import Database
from registry.catalog.deliveries import insert_stored
from registry.catalog.eviction_order import NOTHING_RECENT, Recent, StoredBlobRecord, list_coldest
from registry.catalog.last_used import find_last_pull, mark_stored
from registry.catalog.pins import KEPT, is_kept
from registry.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class UsageTotals:
    """How many bytes are used, and for what.

    `blobs` are the bytes of complete blobs, `count` is the number of complete blobs, `pinned` are
    the bytes of blobs that pins keep, `reserved` the bytes of reservations, and `quarantined` the
    bytes of files in quarantine.
    """

    blobs: int
    count: int
    pinned: int
    reserved: int
    quarantined: int


_SUM_PINNED = f"{KEPT} SELECT COALESCE(SUM(size), 0) FROM blobs JOIN kept USING (digest)"  # noqa: S608 - constants of ours


class UsageCatalog:
    """Rows about blobs, reservations and files that are being removed."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.spare = database.spare

    def used(self) -> int:
        """Return the bytes that count against `storage.limit`."""
        return int(self._database.read("SELECT bytes FROM usage")[0][0])

    async def reserve(self, digest: Digest, size: int, limit: int) -> int:
        """Set the reservation of a download to `size` bytes, if everything then fits into `limit`.

        Returns how many bytes are missing; 0 means that the reservation was made.
        """

        def change(rows: sqlite3.Connection) -> int:
            former = _find(rows, "reservations", digest)
            used = int(rows.execute("SELECT bytes FROM usage").fetchone()[0])
            missing = used - former + size - limit
            if missing <= 0:
                _reserve(rows, digest, size)
            return max(0, missing)

        return await self._database.write(change)

    async def release_reservation(self, digest: Digest, size: int) -> int:
        """Reduce a reservation to `size`, the bytes of the partial file (0: there is no such file).

        Returns by how many bytes the reservation became smaller.
        """
        return -await self._database.write(lambda rows: _reserve(rows, digest, size))

    def is_reserved(self, digest: Digest) -> bool:
        """Whether bytes are reserved for a blob: for a download, or for a partial file."""
        query = "SELECT 1 FROM reservations WHERE digest = ?"
        return bool(self._database.read(query, (str(digest),)))

    async def record(
        self,
        digest: Digest,
        size: int,
        now: float,
        part: Digest | None = None,
        *,
        registry: str = "",
    ) -> None:
        """Record a blob that became complete on disk at `now`; delete its reservation.

        `part` is the name of the reservation, if it is not the digest. `registry` has delivered all
        of its bytes (empty: no single registry has).
        """

        def change(rows: sqlite3.Connection) -> None:
            _reserve(rows, part or digest, 0)
            count(rows, size - _find(rows, "blobs", digest))
            rows.execute("INSERT OR REPLACE INTO blobs VALUES (?, ?, ?)", (str(digest), size, now))
            mark_stored(rows, digest, now)
            if registry:
                insert_stored(rows, [digest], registry, now)

        await self._database.write(change)

    async def record_found(self, digest: Digest, size: int, now: float) -> bool:
        """Record a blob on disk unless it is recorded, reserved, being deleted or quarantined."""

        def change(rows: sqlite3.Connection) -> bool:
            tables = ("blobs", "reservations", "doomed", "quarantine")
            if any(_find(rows, table, digest) for table in tables):
                return False
            rows.execute("INSERT OR REPLACE INTO blobs VALUES (?, ?, ?)", (str(digest), size, now))
            count(rows, size)
            return True

        return await self._database.write(change)

    def list_reservations(self) -> dict[Digest, int]:
        """Return how many bytes are reserved, for each blob for which there are any."""
        rows = self._database.read("SELECT digest, size FROM reservations")
        return {Digest.parse(name): size for name, size in rows}

    async def list_coldest(
        self,
        wanted: float = math.inf,
        without: Collection[Digest] = (),
        recent: Recent = NOTHING_RECENT,
    ) -> list[StoredBlobRecord]:
        """Return blobs without a pin, least recently used first, until they have `wanted` bytes.

        Blobs in `without`, and `recent` ones, are left out. If there are fewer than `wanted` bytes,
        all are returned.
        """
        found, _ = await self._database.survey(
            lambda rows: list_coldest(rows, wanted, without, recent)
        )
        return found

    async def survey_evictable(
        self, wanted: float, recent: Recent = NOTHING_RECENT
    ) -> tuple[list[StoredBlobRecord], int]:
        """Return the same as `list_coldest`, and how many bytes all blobs have that may be evicted.

        They are one question, because it takes seconds to find what very many pins keep.
        """
        return await self._database.survey(lambda rows: list_coldest(rows, wanted, (), recent))

    async def break_down(self) -> UsageTotals:
        """Return how many bytes are used, and for what."""

        def add_up(rows: sqlite3.Connection) -> UsageTotals:
            query = "SELECT COALESCE(SUM(size), 0), COUNT(*) FROM"
            (blobs, count), (reserved, _), (quarantined, _) = (
                rows.execute(f"{query} {table}").fetchone()
                for table in ("blobs", "reservations", "quarantine")
            )
            pinned = rows.execute(_SUM_PINNED).fetchone()[0]
            return UsageTotals(blobs, count, pinned, reserved, quarantined)

        return await self._database.survey(add_up)

    def find_size(self, digest: Digest) -> int | None:
        """Return the recorded size of a stored blob in bytes; None if it is not recorded."""
        rows = self._database.read("SELECT size FROM blobs WHERE digest = ?", (str(digest),))
        return int(rows[0][0]) if rows else None

    def list_after(self, position: str, most: int) -> list[tuple[Digest, float]]:
        """Return the next `most` blobs in the order of digests, and when each was last used."""
        rows = self._database.read(
            "SELECT digest, used FROM blobs WHERE digest > ? ORDER BY digest LIMIT ?",
            (position, most),
        )
        return [(Digest.parse(digest), used) for digest, used in rows]

    async def drop(self, digest: Digest, used: float | None = None) -> bool:
        """Delete the row of a blob whose file is missing; return whether a row was deleted.

        If the blob was last used at another time than `used`, the row stays: the blob was stored
        again.
        """

        def change(rows: sqlite3.Connection) -> bool:
            size = _find(rows, "blobs", digest)
            query = "DELETE FROM blobs WHERE digest = ?1 AND used = COALESCE(?2, used)"
            is_gone = rows.execute(query, (str(digest), used)).rowcount > 0
            count(rows, -size if is_gone else 0)
            return is_gone

        return await self._database.write(change)

    async def mark_deleting(self, digest: Digest, used: float = math.inf) -> int | None:
        """Mark a stored blob before its file is deleted, and return its size in bytes.

        If a pin keeps the blob, or if it was used after `used` (epoch seconds), this changes
        nothing and returns None. It looks in the same transaction, since the blob may have been
        pinned or pulled after the deletion was planned.
        """

        def change(rows: sqlite3.Connection) -> int | None:
            later = "SELECT 1 FROM blobs WHERE digest = ? AND used > ?"
            is_used = rows.execute(later, (str(digest), used)).fetchone() is not None
            return None if is_used or is_kept(rows, digest) else _move(rows, digest, "doomed")

        return await self._database.write(change)

    async def restore_pinned(self, digest: Digest) -> bool:
        """Undo `mark_deleting` if a pin keeps the blob; return whether it was undone.

        The file of the blob must be there, and no other process may be deleting it.
        """

        def change(rows: sqlite3.Connection) -> bool:
            if not is_kept(rows, digest):
                return False
            query = (
                "INSERT OR IGNORE INTO blobs SELECT digest, size, ?2 FROM doomed WHERE digest = ?1"
            )
            used = find_last_pull(rows, digest)
            is_restored = rows.execute(query, (str(digest), used)).rowcount > 0
            if is_restored:
                rows.execute("DELETE FROM doomed WHERE digest = ?", (str(digest),))
            return is_restored

        return await self._database.write(change)

    async def mark_deleted(self, digest: Digest) -> None:
        """Record that the file of a blob that was being deleted is gone."""
        await self._remove_row(digest, "doomed")

    def list_deleting(self) -> list[Digest]:
        """Return the blobs whose deletion has begun and has not ended; it may be interrupted."""
        return [Digest.parse(row[0]) for row in self._database.read("SELECT digest FROM doomed")]

    async def quarantine(self, digest: Digest, size: int) -> None:
        """Mark a blob as quarantined, before its damaged file of `size` bytes is moved."""
        await self._database.write(lambda rows: _move(rows, digest, "quarantine", size))

    async def release(self, digest: Digest) -> None:
        """Record that a quarantined file was deleted."""
        await self._remove_row(digest, "quarantine")

    def list_quarantined(self) -> list[tuple[Digest, int]]:
        """Return the quarantined blobs, and the sizes of their files in bytes."""
        rows = self._database.read("SELECT digest, size FROM quarantine")
        return [(Digest.parse(name), size) for name, size in rows]

    async def _remove_row(self, digest: Digest, table: str) -> None:
        def change(rows: sqlite3.Connection) -> None:
            count(rows, -_find(rows, table, digest))
            query = f"DELETE FROM {table} WHERE digest = ?"  # noqa: S608 - the table is a constant
            rows.execute(query, (str(digest),))

        await self._database.write(change)

    async def clear_unfinished(self) -> None:
        """Delete the rows of files that a backup does not contain, and count used bytes again."""

        def change(rows: sqlite3.Connection) -> None:
            for table in ("reservations", "doomed", "quarantine"):
                rows.execute(f"DELETE FROM {table}")  # noqa: S608 - the table is a constant
            rows.execute("UPDATE usage SET bytes = (SELECT COALESCE(SUM(size), 0) FROM blobs)")

        await self._database.write(change)


def _find(rows: sqlite3.Connection, table: str, digest: Digest) -> int:
    # `table` is always a constant: text from a request would allow an SQL injection.
    query = f"SELECT size FROM {table} WHERE digest = ?"  # noqa: S608 - the table is a constant
    found = rows.execute(query, (str(digest),)).fetchone()
    return int(found[0]) if found else 0


def _move(rows: sqlite3.Connection, digest: Digest, table: str, size: int | None = None) -> int:
    """Move a blob's row to `table`, and return the size there: `size`, or else the blob's size."""
    former = _find(rows, "blobs", digest)
    after = former if size is None else size
    rows.execute("DELETE FROM blobs WHERE digest = ?", (str(digest),))
    count(rows, after - former - _find(rows, table, digest))
    query = f"INSERT OR REPLACE INTO {table} VALUES (?, ?)"  # noqa: S608 - the table is a constant
    rows.execute(query, (str(digest), after))
    return after


def _reserve(rows: sqlite3.Connection, digest: Digest, size: int) -> int:
    """Set a reservation to `size` bytes, and return by how many it grew."""
    more = size - _find(rows, "reservations", digest)
    count(rows, more)
    if size:
        rows.execute("INSERT OR REPLACE INTO reservations VALUES (?, ?)", (str(digest), size))
    else:
        rows.execute("DELETE FROM reservations WHERE digest = ?", (str(digest),))
    return more


def count(rows: sqlite3.Connection, more: int) -> None:
    """Add `more` bytes to the row of `usage`, in the transaction that uses them."""
    rows.execute("UPDATE usage SET bytes = bytes + ?", (more,))
