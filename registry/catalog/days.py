"""What was answered and downloaded on each day, and what of the counters is in it already."""

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from registry.catalog.database import Database

Totals = Mapping[tuple[str, str], tuple[int, int]]  # requests and bytes, by kind and origin


@dataclass(frozen=True, slots=True)
class DayRow:
    """How many requests and bytes there were on a day (YYYY-MM-DD), of a kind and an origin."""

    day: str
    kind: str
    origin: str
    requests: int
    bytes: int


_ADD = """
    INSERT INTO days VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE
        SET requests = requests + excluded.requests, bytes = bytes + excluded.bytes
"""
_COUNT = """
    INSERT INTO days_counted VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE
        SET requests = requests + excluded.requests, bytes = bytes + excluded.bytes
"""
_DELETE_OLD = """
    DELETE FROM days WHERE day < (
        SELECT MIN(day) FROM (SELECT DISTINCT day FROM days ORDER BY day DESC LIMIT ?)
    )
"""
_FIND_COUNTED = "SELECT kind, origin, requests, bytes FROM days_counted WHERE server = ?"


class DayCatalog:
    """Rows by day, kind and origin; and by server, for what is counted."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, day: str, servers: Mapping[str, Totals], *, kept: int) -> None:
        """Add to a day what each server has counted since the last time.

        `servers` has the totals of each server since its start. The last `kept` days that have rows
        are kept, and not those since a moment: a clock that is years ahead would delete them all.
        All is done in one transaction, so that nothing is lost or added twice.

        Raises:
            StoreError: the catalog refused.
        """

        def change(rows: sqlite3.Connection) -> None:
            for server, totals in servers.items():
                new = find_new(totals, _read_counted(rows, server))
                rows.executemany(_ADD, [(day, *key, *amounts) for key, amounts in new.items()])
                counted = [(server, *key, *amounts) for key, amounts in new.items()]
                rows.executemany(_COUNT, counted)
            rows.execute(_DELETE_OLD, (kept,))

        await self._database.write(change)

    async def forget(self, servers: Iterable[str]) -> None:
        """Forget what was counted of servers whose counters are gone.

        Raises:
            StoreError: the catalog refused.
        """
        values = [(server,) for server in servers]
        await self._database.write(
            lambda rows: rows.executemany("DELETE FROM days_counted WHERE server = ?", values)
        )

    def list_counted(self) -> list[str]:
        """Return the servers of which something is counted.

        Raises:
            StoreError: the catalog refused.
        """
        found = self._database.read("SELECT DISTINCT server FROM days_counted")
        return [server for (server,) in found]

    async def read(self, day: str, servers: Mapping[str, Totals], *, since: str) -> list[DayRow]:
        """Return the rows since a day, with what `add` would add to `day` now.

        Raises:
            StoreError: the catalog refused.
        """

        def look(rows: sqlite3.Connection) -> list[DayRow]:
            query = "SELECT * FROM days WHERE day >= ? ORDER BY day, kind, origin"
            found = [DayRow(*row) for row in rows.execute(query, (since,))]
            for server, totals in servers.items():
                new = find_new(totals, _read_counted(rows, server))
                found += [DayRow(day, *key, *amounts) for key, amounts in new.items()]
            return found

        return await self._database.survey(look)


def find_new(totals: Totals, counted: Totals) -> dict[tuple[str, str], tuple[int, int]]:
    """Return by how much totals exceed those that are counted already. Pure.

    Totals never become smaller: smaller ones were read before those that are counted.
    """
    new = {}
    for key, (requests, size) in totals.items():
        before_requests, before_size = counted.get(key, (0, 0))
        more = max(0, requests - before_requests), max(0, size - before_size)
        if any(more):
            new[key] = more
    return new


def _read_counted(rows: sqlite3.Connection, server: str) -> Totals:
    return {
        (kind, origin): (requests, size)
        for kind, origin, requests, size in rows.execute(_FIND_COUNTED, (server,))
    }
