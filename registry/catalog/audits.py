"""How far audits are, so that an interrupted one goes on."""

from dataclasses import dataclass

from registry.catalog.database import Database


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass over all blobs: the last digest it has looked at, and when it began and ended.

    Times are in epoch seconds; `ended` is 0 while it goes on.
    """

    position: str = ""
    began: float = 0.0
    ended: float = 0.0


class AuditCatalog:
    """A row for each auditor: `background` is the one in the background, `command` the other."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, auditor: str) -> Pass:
        """Return the last pass; an empty one when there never was any."""
        rows = self._database.read(
            "SELECT position, began, ended FROM audits WHERE auditor = ?", (auditor,)
        )
        return Pass(*rows[0]) if rows else Pass()

    async def note(self, auditor: str, state: Pass) -> None:
        """Record how far it is."""
        values = (auditor, state.position, state.began, state.ended)
        await self._database.write(
            lambda rows: rows.execute("INSERT OR REPLACE INTO audits VALUES (?, ?, ?, ?)", values)
        )
