"""What each client last asked for with each tool, and what it got."""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from registry.catalog.database import Database
from registry.oci.client_tools import ClientVisit

MOST_VISITS = 20_000  # rows; clients with ever new addresses could fill the disk
_TRIM_AFTER = 2_000  # rows between two searches for rows beyond these
_RECORD = """
    INSERT INTO client_visits VALUES (?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT DO UPDATE SET shape = excluded.shape, image = excluded.image,
            status = excluded.status, origin = excluded.origin, seen = excluded.seen
            WHERE excluded.seen >= seen
"""
# Those who got nothing go first: they can be made without end.
_TRIM = """
    DELETE FROM client_visits WHERE (client, tool) IN (
        SELECT client, tool FROM client_visits ORDER BY status < 400 DESC, seen DESC
            LIMIT -1 OFFSET ?
    )
"""
_OF_CLIENT = """
    SELECT client, tool, shape, image, status, origin, seen FROM client_visits
        WHERE client = ? ORDER BY seen DESC
"""
_IN_VAIN = """
    SELECT client, tool, shape, image, status, origin, seen FROM client_visits AS visit
        WHERE status >= 400 AND (?1 = '' OR instr(client, ?1))
        AND NOT EXISTS (SELECT 1 FROM pulls WHERE pulls.client = visit.client)
        ORDER BY seen DESC LIMIT ?2
"""


@dataclass(frozen=True, slots=True)
class VisitRow:
    """The last visit of a client with a tool, at `seen` (epoch seconds)."""

    client: str
    visit: ClientVisit
    seen: float


class ClientVisitCatalog:
    """Records and reads visits."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._untrimmed = 0

    async def record(self, visits: Sequence[VisitRow]) -> None:
        """Record visits; a later one of the same client and tool takes the place of the former.

        If there are more than `MOST_VISITS`, the oldest are deleted, first of those who got
        nothing.

        Raises:
            StoreError: the catalog refused.
        """
        values = [_bind(each) for each in visits]
        self._untrimmed += len(values)
        is_to_be_trimmed = self._untrimmed >= _TRIM_AFTER

        def change(rows: sqlite3.Connection) -> None:
            rows.executemany(_RECORD, values)
            if is_to_be_trimmed:
                rows.execute(_TRIM, (MOST_VISITS,))

        await self._database.write(change)
        if is_to_be_trimmed:
            self._untrimmed = 0

    async def list_of(self, clients: Iterable[str]) -> dict[str, list[VisitRow]]:
        """Return the visits of these clients, the latest first.

        Raises:
            StoreError: the catalog refused.
        """
        wanted = list(clients)
        return await self._database.survey(
            lambda rows: {
                client: _make_rows(rows.execute(_OF_CLIENT, (client,))) for client in wanted
            }
        )

    async def list_in_vain(self, text: str, most: int) -> list[VisitRow]:
        """Return visits of clients that have pulled nothing and got an error, the latest first.

        `text` is a part of their addresses.

        Raises:
            StoreError: the catalog refused.
        """
        return await self._database.survey(
            lambda rows: _make_rows(rows.execute(_IN_VAIN, (text, most)))
        )


def _bind(row: VisitRow) -> tuple[str | int | float, ...]:
    visit = row.visit
    return (
        row.client,
        visit.tool,
        visit.shape,
        visit.image,
        visit.status,
        visit.origin,
        row.seen,
    )


def _make_rows(
    found: Iterable[tuple[str, str, str, str, int, str, float]],
) -> list[VisitRow]:
    return [VisitRow(row[0], ClientVisit(*row[1:6]), row[6]) for row in found]
