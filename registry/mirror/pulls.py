"""When images were pulled: noted in memory, written now and then, so that a hit writes nothing."""

import asyncio
from collections.abc import Callable

import structlog

from registry.catalog.room import RoomCatalog
from registry.errors import StoreError
from registry.oci.digest import Digest
from registry.oci.names import Repository

PERIOD = 1.0  # seconds of pulls that a crash forgets at most, and that eviction may not know yet


class Pulls:
    """The last pull of each image, as this process saw it."""

    def __init__(self, catalog: RoomCatalog, clock: Callable[[], float]) -> None:
        self._catalog = catalog
        self._clock = clock
        self._noted: dict[tuple[Repository, Digest], float] = {}
        self._log = structlog.get_logger("registry.mirror")

    def note(self, repository: Repository, digest: Digest) -> None:
        """Note that a client asked for this manifest, and got it."""
        self._noted[repository, digest] = self._clock()

    async def flush(self) -> None:
        """Write what was noted since the last time."""
        noted, self._noted = self._noted, {}
        if not noted:
            return
        try:
            await self._catalog.note_pulls([(*image, pulled) for image, pulled in noted.items()])
        except StoreError as error:
            self._noted = noted | self._noted
            self._log.error("pulls not noted", why=str(error))

    async def keep_flushing(self) -> None:
        """Write, now and then, until cancelled; and then once more."""
        try:
            while True:
                await asyncio.sleep(PERIOD)
                await self.flush()
        finally:
            await self.flush()
