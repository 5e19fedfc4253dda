"""Pulls are noted in memory and recorded once a second, so that most requests do not write.

If no pull of an image was recorded in the last second, the next one is recorded before it is
answered. So every process that looks for images that nobody uses knows at once that an image is in
use again.
"""

import asyncio
import math
from collections.abc import Callable

import structlog

from registry.catalog.pulls import Pull, PullCatalog
from registry.errors import StoreError
from registry.oci.digest import Digest
from registry.oci.names import Reference, Repository

PERIOD = 1.0  # seconds between two records of pulls
RECENT = 1.5  # seconds; the last record of a pull is at most so much older than the last pull
PATIENCE = 0.5  # seconds that a client waits for the record; on a slow disk it is answered before


class PullLog:
    """The last pull of each image by each client, since the last time that pulls were recorded."""

    def __init__(self, catalog: PullCatalog, clock: Callable[[], float]) -> None:
        self._catalog = catalog
        self._clock = clock
        self._noted: dict[tuple[Repository, Reference, Digest, str], float] = {}
        self._recorded: dict[tuple[Repository, Digest], float] = {}  # when, if recently
        self._turn = asyncio.Lock()
        self._flushing: set[asyncio.Task[None]] = set()
        self._log = structlog.get_logger("registry.content")

    def note(
        self, repository: Repository, reference: Reference, digest: Digest, client: str | None
    ) -> None:
        """Note that a client (its address) pulled a manifest by this reference."""
        self._noted[repository, reference, digest, client or ""] = self._clock()

    def is_recorded(self, repository: Repository, digest: Digest) -> bool:
        """Whether a pull of this manifest was just recorded, so that `note` is enough."""
        return self._clock() - self._recorded.get((repository, digest), -math.inf) < RECENT

    async def record(
        self, repository: Repository, reference: Reference, digest: Digest, client: str | None
    ) -> None:
        """Note a pull, and wait until it is recorded if none of this manifest was just recorded."""
        self.note(repository, reference, digest, client)
        if self.is_recorded(repository, digest):
            return
        # A task, since the client may leave.
        flushing = asyncio.create_task(self.flush())
        self._flushing.add(flushing)
        flushing.add_done_callback(self._flushing.discard)
        await asyncio.wait([flushing], timeout=PATIENCE)

    async def flush(self) -> None:
        """Record the noted pulls; if the catalog refuses, they are recorded the next time."""
        async with self._turn:  # pulls that come during a transaction share the next one
            noted, self._noted = self._noted, {}
            if not noted:
                return
            now = self._clock()
            try:
                await self._catalog.record([Pull(*pull, pulled) for pull, pulled in noted.items()])
            except StoreError as error:
                self._noted = noted | self._noted
                self._log.error("pulls not recorded", why=str(error))
            # Also if the catalog refused: then clients do not wait until it is tried again.
            self._recorded |= {(where, digest): now for where, _, digest, _ in noted}

    async def keep_flushing(self) -> None:
        """Record pulls once a second until cancelled, and once more at the end."""
        try:
            while True:
                await asyncio.sleep(PERIOD)
                await self.flush()
                oldest = self._clock() - RECENT
                self._recorded = {key: at for key, at in self._recorded.items() if at > oldest}
        finally:
            await self.flush()
