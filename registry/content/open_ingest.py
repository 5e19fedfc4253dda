"""How an ingest ends: with the blob in the store, or with its bytes kept or deleted."""

import time
from typing import Generic, Self, TypeVar

from registry.content.destination import Destination, Stored
from registry.errors import StoreError
from registry.logs import get_logger
from registry.oci.digest import Digest
from registry.store.ingests import IngestInfo
from registry.store.partial import PartialWriter, SealedPartial
from registry.store.sparse import SparsePartial
from registry.tasks import in_thread

Writer = TypeVar("Writer", PartialWriter, SparsePartial)


class OpenIngest(Generic[Writer]):
    """The common part of `Ingest` and `SparseIngest`: how an ingest ends.

    It ends exactly once. At the end of `async with`, an ingest that has not ended is suspended.
    """

    def __init__(
        self, digest: Digest, writer: Writer, destination: Destination, part: Digest | None = None
    ) -> None:
        self.digest = digest
        self._part = part or digest  # the name of the partial file, and of the reservation
        self._destination = destination
        self._writer: Writer = writer
        self._reserved = 0
        self._is_over = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.suspend()

    async def suspend(self) -> None:
        """End without the blob, but keep the bytes: the next writer, in any process, continues."""
        if not self._is_over:
            await self._end(is_recorded=False)

    async def abort(self) -> None:
        """End without the blob, and delete its bytes; readers see that the file was abandoned."""
        if self._is_over:
            return
        try:
            self._abandon()
        finally:
            await self._end(is_recorded=False)

    def _abandon(self) -> None:
        self._writer.abandon()

    async def show_life(self) -> bool:
        """Show processes that wait for the blob that its writer is alive, though no bytes may come.

        Returns false if the disk does not answer.
        """
        await in_thread(self._writer.touch)
        return True

    async def _reserve(self, size: int) -> None:
        if size > self._reserved:
            await self._destination.space.reserve(self._part, size)
            self._reserved = size

    async def _publish(self, sealed: SealedPartial, registry: str = "") -> Stored:
        """Move a verified file into the store, record the blob, and end the ingest.

        `registry` is recorded as the one that has delivered it (empty: no single one has).
        If the catalog refuses, this is logged: the background process records the blob later.

        Raises:
            StoreError: the disk refused; this ingest has not ended.
        """
        if self._part != self.digest:
            await in_thread(self._note_blob)
        await self._destination.store.adopt(sealed)
        is_recorded = False
        try:
            await self._destination.space.record(
                sealed.digest, sealed.size, self._part, registry=registry
            )
            is_recorded = True
            # Only now: until then they say which blob a reservation of another name belongs to.
            self._destination.ingests.delete_side_files(self._part)
        except StoreError as error:
            self._log("blob not recorded", error)
        finally:
            await self._end(is_recorded=is_recorded)
        return Stored(sealed.digest, sealed.size)

    def _note_blob(self) -> None:
        """Note which blob comes from a partial file of another name, for the case of a crash."""
        ingests = self._destination.ingests
        if ingests.find_blob(self._part) != self.digest:
            info = IngestInfo(None, "", "", time.time(), (), str(self.digest))
            ingests.write_info(self._part, info)

    async def _end(self, *, is_recorded: bool) -> None:
        """Release the lock, and also the reservation if recording the blob has not deleted it."""
        self._is_over = True
        self._writer.close()
        if is_recorded:
            return
        try:
            await self._destination.space.release_reservation(self._part)
        except StoreError as error:  # the background process does it later
            self._log("reservation not released", error)

    def _log(self, event: str, error: StoreError) -> None:
        log = get_logger("registry.content")
        log.error(event, blob=str(self.digest), why=str(error))
