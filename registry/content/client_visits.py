"""Which clients ask this mirror with which tool: noted in memory, recorded every few seconds.

Only the last request for a manifest of each client and tool is kept. A request costs one change in
a dictionary.
"""

import asyncio
import time
from collections.abc import Callable

from registry.catalog.client_visits import ClientVisitCatalog, VisitRow
from registry.errors import StoreError
from registry.logs import get_logger
from registry.oci.client_tools import ClientVisit

PERIOD = 3.0  # seconds between two records
MOST_NOTED = 5_000  # clients that wait to be recorded; about 2 MiB

NoteClient = Callable[[str], None]


class ClientVisits:
    """The visits that one worker has not recorded yet."""

    def __init__(self, catalog: ClientVisitCatalog, clock: Callable[[], float] = time.time) -> None:
        self._catalog = catalog
        self._clock = clock
        self._noted: dict[tuple[str, str], tuple[ClientVisit, float]] = {}
        self._log = get_logger("registry.content")

    def prepare(self, visit: ClientVisit) -> NoteClient:
        """Return what notes that a client has just made this visit.

        It gets what is kept of the address of the client.
        """
        tool, clock = visit.tool, self._clock

        def note(client: str) -> None:
            key = client, tool
            if len(self._noted) < MOST_NOTED or key in self._noted:
                self._noted[key] = visit, clock()

        return note

    async def flush(self) -> None:
        """Record what was noted; what the catalog refuses is lost."""
        noted, self._noted = self._noted, {}
        if not noted:
            return
        try:
            await self._catalog.record(
                [VisitRow(client, visit, seen) for (client, _), (visit, seen) in noted.items()]
            )
        except StoreError as error:  # the next request of each client tells it again
            self._log.warning("clients not recorded", why=str(error))

    async def keep_flushing(self) -> None:
        """Record every few seconds until cancelled, and once more at the end."""
        try:
            while True:
                await asyncio.sleep(PERIOD)
                await self.flush()
        finally:
            await self.flush()
