"""What upstream endpoints last told of their pull budgets."""

from dataclasses import dataclass

from registry.catalog.database import Database


@dataclass(frozen=True, slots=True)
class RateLimitRecord:
    """What an endpoint told `identity`: `remaining` of `allowed` in `period` seconds.

    `seen` is when it did (epoch seconds), `source` whom it counts.
    """

    endpoint: str
    identity: str
    allowed: int
    remaining: int
    period: float
    source: str
    seen: float


class RateLimitCatalog:
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

    async def list_all(self) -> list[RateLimitRecord]:
        """Return all budgets, those included that are just being recorded by this process.

        Raises:
            StoreError: the catalog refused.
        """
        # Read where it is written, so behind what has been told before.
        return await self._database.write(
            lambda rows: [RateLimitRecord(*row) for row in rows.execute("SELECT * FROM budgets")]
        )
