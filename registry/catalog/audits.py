"""How far each audit has come, so that an interrupted one can continue."""

from dataclasses import dataclass

from registry.catalog.database import Database


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass over all blobs: the last digest that it has checked, and when it began and ended.

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
        """Return the last pass of an auditor; an empty one if there was none."""
        rows = self._database.read(
            "SELECT position, began, ended FROM audits WHERE auditor = ?", (auditor,)
        )
        return Pass(*rows[0]) if rows else Pass()

    async def record(self, auditor: str, state: Pass) -> None:
        """Record how far a pass has come."""
        values = (auditor, state.position, state.began, state.ended)
        await self._database.write(
            lambda rows: rows.execute("INSERT OR REPLACE INTO audits VALUES (?, ?, ?, ?)", values)
        )
