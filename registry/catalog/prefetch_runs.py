"""When each prefetch last ran, and what that run did."""

import json
from collections.abc import Mapping
from contextlib import suppress

from registry.catalog.database import Database


class PrefetchCatalog:
    """A row for each prefetch, by its name."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, name: str) -> float | None:
        """Return when a prefetch last ended (epoch seconds); None if it has never run.

        Of one that has not run yet, it may be when it was first seen: then it has no result.
        """
        rows = self._database.read("SELECT ended FROM prefetch_runs WHERE name = ?", (name,))
        return rows[0][0] if rows else None

    def find_result(self, name: str) -> dict[str, object]:
        """Return the facts of the last run of a prefetch; empty if they are not known."""
        rows = self._database.read("SELECT result FROM prefetch_runs WHERE name = ?", (name,))
        with suppress(ValueError):
            found = json.loads(rows[0][0]) if rows else None
            return found if isinstance(found, dict) else {}
        return {}

    async def record(
        self, name: str, ended: float, result: Mapping[str, object] | None = None
    ) -> None:
        """Record when a prefetch ended, and the facts of the run (None: there was no run).

        Raises:
            StoreError: the catalog refused.
        """
        text = "" if result is None else json.dumps(dict(result))
        await self._database.write(
            lambda rows: rows.execute(
                "INSERT OR REPLACE INTO prefetch_runs (name, ended, result) VALUES (?, ?, ?)",
                (name, ended, text),
            )
        )
