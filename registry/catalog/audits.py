"""The position of each audit, so that an interrupted audit can continue."""

from dataclasses import dataclass

from registry.catalog.database import Database


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass of an audit over all blobs: the last checked digest, and when it began and ended.

    Times are in epoch seconds; `ended` is 0 until the pass has ended.
    """

    position: str = ""
    began: float = 0.0
    ended: float = 0.0


class AuditCatalog:
    """A row for each auditor: `steward` is the background process, `command` an operator."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, auditor: str) -> Pass:
        """Return the last pass of an auditor; an empty `Pass` if there was none."""
        rows = self._database.read(
            "SELECT position, began, ended FROM audits WHERE auditor = ?", (auditor,)
        )
        return Pass(*rows[0]) if rows else Pass()

    async def check(self) -> None:
        """Check every row and every index of the catalog.

        Raises:
            CatalogLost: the catalog is damaged.
            StoreError: the catalog refused.
        """
        await self._database.check()

    async def record(self, auditor: str, state: Pass) -> None:
        """Record the position and the times of a pass."""
        values = (auditor, state.position, state.began, state.ended)
        await self._database.write(
            lambda rows: rows.execute("INSERT OR REPLACE INTO audits VALUES (?, ?, ?, ?)", values)
        )
