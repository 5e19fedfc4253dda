"""The pull limits that upstream endpoints stated last."""

import sqlite3
from dataclasses import astuple

from registry.catalog.database import Database
from registry.oci.rate_limits import RateLimit


class RateLimitCatalog:
    """Rows by endpoint and identity."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(self, limit: RateLimit) -> None:
        """Record a pull limit; it replaces the earlier one of the same endpoint and identity.

        Limits of which the period was over when this one was reported are deleted.

        Raises:
            StoreError: the catalog refused.
        """
        row = astuple(limit)

        def change(rows: sqlite3.Connection) -> None:
            rows.execute("DELETE FROM budgets WHERE seen + period <= ?", (limit.seen,))
            rows.execute("INSERT OR REPLACE INTO budgets VALUES (?, ?, ?, ?, ?, ?, ?)", row)

        await self._database.write(change)

    async def find(self, endpoint: str, identity: str) -> RateLimit | None:
        """Return the pull limit of one endpoint and identity, as `list_all` does.

        Raises:
            StoreError: the catalog refused.
        """
        found = await self.list_all()
        return next(
            (each for each in found if (each.endpoint, each.identity) == (endpoint, identity)), None
        )

    async def list_all(self) -> list[RateLimit]:
        """Return all pull limits, including those that this process is recording at the moment.

        Raises:
            StoreError: the catalog refused.
        """
        # Read in the thread that writes, so that all earlier changes are included.
        return await self._database.write(
            lambda rows: [RateLimit(*row) for row in rows.execute("SELECT * FROM budgets")]
        )
