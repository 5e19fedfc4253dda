"""Pulls are noted in memory and recorded once a second, so that most requests do not write.

If no pull of an image was recorded in the last second, the next one is recorded before it is
answered. So every process that looks for images that nobody uses knows at once that an image is in
use again.

A client that has the manifest may take long until it asks for the last layer. So each blob that it
gets is noted too, and is then used, together with the rest of the image.
"""

import asyncio
import math
from collections.abc import Callable

from registry.catalog.pulls import BlobUse, Pull, PullCatalog
from registry.errors import StoreError
from registry.logs import get_logger
from registry.oci.digest import Digest
from registry.oci.names import Reference, Repository

PERIOD = 1.0  # seconds between two records of pulls
RECENT = 1.5  # seconds; the last record of a pull is at most so much older than the last pull
BLOB_PERIOD = 10.0  # seconds for which it is enough that a blob was noted once
MOST_NOTED = 50_000  # pulls that wait to be recorded, if the catalog refuses; about 20 MiB
PATIENCE = 0.5  # seconds that a client waits for the record; on a slow disk it is answered before


class PullLog:
    """The last pull of each image by each client, since the last time that pulls were recorded."""

    def __init__(
        self,
        catalog: PullCatalog,
        clock: Callable[[], float],
        show_address: Callable[[str | None], str | None] = lambda address: address,
    ) -> None:
        """`show_address` returns what is kept of the address of a client."""
        self._catalog = catalog
        self._clock = clock
        self._show_address = show_address
        self._noted: dict[tuple[Repository, Reference, Digest, str], float] = {}
        self._recorded: dict[tuple[Repository, Digest], float] = {}  # when, if recently
        self._blobs: dict[tuple[Repository, Digest], float] = {}  # to be recorded
        self._noted_blobs: dict[tuple[Repository, Digest], float] = {}  # when, if recently
        self._refused = -math.inf  # when the catalog last refused
        self._turn = asyncio.Lock()
        self._next: asyncio.Task[None] | None = None  # records what is noted, and has not begun
        self._flushing: set[asyncio.Task[None]] = set()
        self._log = get_logger("registry.content")

    def note(
        self, repository: Repository, reference: Reference, digest: Digest, client: str | None
    ) -> None:
        """Note that a client (its address) pulled a manifest by this reference.

        If the catalog refuses for so long that too many are noted, further ones are not.
        """
        kept = self._show_address(client) or ""
        key = repository, reference, digest, kept
        if len(self._noted) < MOST_NOTED or key in self._noted:
            self._noted[key] = self._clock()

    def note_blob(self, repository: Repository, digest: Digest) -> None:
        """Note that a client gets a blob of a repository."""
        now = self._clock()
        is_noted = abs(now - self._noted_blobs.get((repository, digest), -math.inf)) < BLOB_PERIOD
        if not is_noted and len(self._blobs) < MOST_NOTED:
            self._noted_blobs[repository, digest] = self._blobs[repository, digest] = now

    def is_recorded(self, repository: Repository, digest: Digest) -> bool:
        """Whether a pull of this manifest was just recorded, so that `note` is enough."""
        # Also if the clock was set back: then all that was noted before is over.
        return abs(self._clock() - self._recorded.get((repository, digest), -math.inf)) < RECENT

    async def record(
        self, repository: Repository, reference: Reference, digest: Digest, client: str | None
    ) -> None:
        """Note a pull, and wait until it is recorded if none of this manifest was just recorded."""
        self.note(repository, reference, digest, client)
        # If the catalog has just refused, clients do not wait until it is tried again.
        if self.is_recorded(repository, digest) or abs(self._clock() - self._refused) < PERIOD:
            return
        await asyncio.wait([self._begin_flush()], timeout=PATIENCE)

    def _begin_flush(self) -> asyncio.Task[None]:
        """Return a task that will record what is noted; on a slow disk many requests share it."""
        if self._next is None:
            # A task, since the client may leave.
            self._next = asyncio.create_task(self._flush_next())
            self._flushing.add(self._next)
            self._next.add_done_callback(self._flushing.discard)
        return self._next

    async def _flush_next(self) -> None:
        async with self._turn:
            self._next = None
            await self._write()

    async def flush(self) -> None:
        """Record what was noted; if the catalog refuses, it is recorded the next time."""
        async with self._turn:  # pulls that come during a transaction share the next one
            await self._write()

    async def _write(self) -> None:
        noted, self._noted = self._noted, {}
        blobs, self._blobs = self._blobs, {}
        if not noted and not blobs:
            return
        now = self._clock()
        try:
            await self._catalog.record(
                [Pull(*pull, pulled) for pull, pulled in noted.items()],
                [BlobUse(*use, moment) for use, moment in blobs.items()],
            )
        except StoreError as error:
            self._noted, self._blobs = noted | self._noted, blobs | self._blobs
            self._refused = self._clock()
            self._log.error("pulls not recorded", why=str(error))
        else:
            self._recorded |= {(where, digest): now for where, _, digest, _ in noted}

    async def keep_flushing(self) -> None:
        """Record pulls once a second until cancelled, and once more at the end."""
        try:
            while True:
                await asyncio.sleep(PERIOD)
                await self.flush()
                now = self._clock()
                self._recorded = _forget(self._recorded, now, RECENT)
                self._noted_blobs = _forget(self._noted_blobs, now, BLOB_PERIOD)
        finally:
            await self.flush()


def _forget(
    moments: dict[tuple[Repository, Digest], float], now: float, seconds: float
) -> dict[tuple[Repository, Digest], float]:
    return {key: at for key, at in moments.items() if abs(now - at) < seconds}
