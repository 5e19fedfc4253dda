"""When each prefetch last ran."""

from registry.catalog.database import Database


class PrefetchCatalog:
    """A row for each prefetch, by its name."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, name: str) -> float | None:
        """Return when a prefetch last ended (epoch seconds); None if it has never run."""
        rows = self._database.read("SELECT ended FROM prefetch_runs WHERE name = ?", (name,))
        return rows[0][0] if rows else None

    async def record(self, name: str, ended: float) -> None:
        """Record when a prefetch ended.

        Raises:
            StoreError: the catalog refused.
        """
        await self._database.write(
            lambda rows: rows.execute(
                "INSERT OR REPLACE INTO prefetch_runs VALUES (?, ?)", (name, ended)
            )
        )
