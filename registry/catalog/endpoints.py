"""What was measured of the endpoints of upstreams, by all processes together."""

import sqlite3
from collections.abc import Callable, Mapping

from registry.catalog.database import Database

# First byte (seconds), rate and total rate (bytes per second), part that fails, right bytes, number
# of wrong ones, when anything and when a rate was measured, and until when it is suspected (epoch
# seconds); None: never measured.
EndpointRow = tuple[float | None, float | None, float | None, float, int, int, float, float, float]
EndpointChange = Callable[[EndpointRow | None], EndpointRow]  # None: there is no row yet
KEPT = 90 * 24 * 3600.0  # seconds after which a row is deleted if nothing was measured
_COLUMNS = "first_byte, rate, total, failing, right, wrong, measured, rated, suspected"


class EndpointCatalog:
    """Rows by the name of an upstream and the URL of an endpoint."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self, upstream: str) -> dict[str, EndpointRow]:
        """Return the rows of an upstream by URL.

        Raises:
            StoreError: the catalog refused.
        """
        query = f"SELECT url, {_COLUMNS} FROM endpoints WHERE upstream = ?"  # noqa: S608 - constants of this file
        return {url: tuple(row) for url, *row in self._database.read(query, (upstream,))}

    async def change(self, changes: Mapping[tuple[str, str], EndpointChange], now: float) -> None:
        """Replace the row of each upstream and URL by what its change makes of it.

        Rows of endpoints that were not asked for 90 days are deleted.

        Raises:
            StoreError: the catalog refused.
        """

        def apply(rows: sqlite3.Connection) -> None:
            rows.execute("DELETE FROM endpoints WHERE measured < ?", (now - KEPT,))
            query = f"SELECT {_COLUMNS} FROM endpoints WHERE upstream = ? AND url = ?"  # noqa: S608 - constants of this file
            for key, change in changes.items():
                row = change(rows.execute(query, key).fetchone())
                rows.execute(
                    f"INSERT OR REPLACE INTO endpoints (upstream, url, {_COLUMNS})"  # noqa: S608 - constants of this file
                    f" VALUES ({', '.join('?' * len((*key, *row)))})",
                    (*key, *row),
                )

        await self._database.write(apply)
