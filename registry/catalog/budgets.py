"""What upstream endpoints last told of their pull budgets."""

from registry.catalog.database import Database


class BudgetCatalog:
    """Rows by endpoint and identity."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(
        self,
        place: tuple[str, str],
        *,
        allowed: int,
        remaining: int,
        period: float,
        source: str,
        now: float,
    ) -> None:
        """Keep the newest budget of `place`, an endpoint and an identity; `period` in seconds."""
        row = (*place, allowed, remaining, period, source, now)
        await self._database.write(
            lambda rows: rows.execute(
                "INSERT OR REPLACE INTO budgets VALUES (?, ?, ?, ?, ?, ?, ?)", row
            )
        )
