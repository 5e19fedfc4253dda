"""Pulls are noted in memory and recorded once a second, so that requests do not write."""

import asyncio
from collections.abc import Callable

import structlog

from registry.catalog.pulls import Pull, PullCatalog
from registry.errors import StoreError
from registry.oci.digest import Digest
from registry.oci.names import Reference, Repository

PERIOD = 1.0  # seconds; pulls of this time may be lost in a crash, or not be known to an eviction


class PullLog:
    """The last pull of each image by each client, since the last time that pulls were recorded."""

    def __init__(self, catalog: PullCatalog, clock: Callable[[], float]) -> None:
        self._catalog = catalog
        self._clock = clock
        self._noted: dict[tuple[Repository, Reference, Digest, str], float] = {}
        self._log = structlog.get_logger("registry.content")

    def note(
        self, repository: Repository, reference: Reference, digest: Digest, client: str | None
    ) -> None:
        """Note that a client (its address) pulled a manifest by this reference."""
        self._noted[repository, reference, digest, client or ""] = self._clock()

    async def flush(self) -> None:
        """Record the noted pulls; if the catalog refuses, they are recorded the next time."""
        noted, self._noted = self._noted, {}
        if not noted:
            return
        try:
            await self._catalog.record([Pull(*pull, pulled) for pull, pulled in noted.items()])
        except StoreError as error:
            self._noted = noted | self._noted
            self._log.error("pulls not recorded", why=str(error))

    async def keep_flushing(self) -> None:
        """Record pulls once a second until cancelled, and once more at the end."""
        try:
            while True:
                await asyncio.sleep(PERIOD)
                await self.flush()
        finally:
            await self.flush()
