"""Flights: one transfer per digest, whoever asks, across all worker processes.

A flight belongs to the mirror. It outlives its readers, and it goes on from the bytes on disk after
a fault, a restart, or the death of the process that began it. In each process it is either the
writer of the part, or it follows the writer of another process and stands ready to take over.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass

import structlog

from registry.errors import DigestMismatch, EntrepotError, StoreError
from registry.mirror.conveyor import Conveyor
from registry.mirror.tasks import Tasks, in_thread
from registry.oci.digest import Digest
from registry.oci.names import Repository
from registry.store.blobs import BlobStore
from registry.store.part import Fate, PartReader, PartWriter
from registry.store.spool import Spool, Waybill
from registry.upstream.ranges import read_in_order
from registry.upstream.source import Source, Transfer

POLL = 0.02  # seconds between two looks at a part that another process writes


@dataclass(frozen=True, slots=True)
class Order:
    """What to fetch, from where: `size` in bytes where a manifest says it."""

    repository: Repository
    digest: Digest
    size: int | None
    source: Source
    connections: int


class Flight:
    """One blob on its way into the store, as this process sees it."""

    def __init__(
        self,
        order: Order,
        spool: Spool,
        store: BlobStore,
        record: Callable[[Digest, int], Awaitable[None]],
        clock: Callable[[], float],
    ) -> None:
        self.size = order.size
        self.failure: EntrepotError | None = None
        self.is_over = False
        self.is_writer = False
        self._order = order
        self._digest = order.digest
        self._spool = spool
        self._store = store
        self._record = record
        self._clock = clock
        self._is_open = False
        self._change: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._log = structlog.get_logger("registry.mirror").bind(
            blob=str(order.digest), repository=str(order.repository)
        )

    async def opened(self) -> None:
        """Wait until bytes arrive or the flight is over.

        Raises:
            EntrepotError: what the flight failed with.
        """
        while not self._is_open and not self.is_over:
            await self.changed()
        if self.failure is not None:
            raise self.failure

    async def changed(self) -> None:
        """Wait for the next change: more bytes, or the end."""
        await asyncio.shield(self._change)

    async def run(self) -> None:
        """Fly to the end; every failure ends up in `failure`."""
        try:
            await self._fly()
        except EntrepotError as error:
            self.failure = error
        except OSError as error:
            self.failure = StoreError(str(error.filename), error.strerror or str(error))
        finally:
            self.is_over = True
            self._notify()
        if self.failure is not None:
            self._log.warning("fill failed", why=str(self.failure))

    async def _fly(self) -> None:
        with ExitStack() as open_readers:
            reader: PartReader | None = None
            while await self._store.stat(self._digest) is None:
                if reader is None and (reader := self._spool.open(self._digest)) is not None:
                    open_readers.enter_context(reader)
                if reader is not None:
                    self._watch(reader)
                writer = self._spool.take(self._digest)
                if writer is not None:
                    await self._lead(writer)
                    return
                await asyncio.sleep(POLL)

    def _watch(self, reader: PartReader) -> None:
        """Look at what another process's writer, living or dead, has done."""
        progress = reader.progress()
        if progress.fate is Fate.CONDEMNED:
            raise DigestMismatch(str(self._digest), "wrong bytes arrived")
        if progress.fate is Fate.ABANDONED:
            raise StoreError(str(self._digest), "the disk refused it in another process")
        waybill = self._spool.waybill(self._digest)
        if progress.landed and waybill is not None:
            self._open(waybill.size)
        self._notify()

    async def _lead(self, writer: PartWriter) -> None:
        self.is_writer = True
        try:
            if await self._store.stat(self._digest) is not None:
                writer.abandon()  # sealed by another process since we looked
                return
            await self._fill(writer)
        except StoreError:
            writer.abandon()
            raise
        finally:
            if not writer.received:
                writer.abandon()
            writer.close()

    async def _fill(self, writer: PartWriter) -> None:
        order = self._order
        resumed = await in_thread(writer.resume)
        if order.size is None or resumed >= max(order.size, 1):
            # Without a size there is no telling whether the rest is missing, or nothing is.
            writer.restart()
            resumed = 0
        transfer = order.source.open_blob(order.repository.name, order.digest, order.size)
        chunks = read_in_order(transfer, resumed, order.connections)
        async with Conveyor(chunks) as conveyor:
            while batch := await conveyor.take():
                if not self._is_open:
                    self._announce(transfer)
                await in_thread(writer.append, batch)
                self._notify()
        await self._seal(writer, transfer, is_resumed=resumed > 0)

    def _announce(self, transfer: Transfer) -> None:
        waybill = Waybill(
            transfer.size, str(self._order.repository), transfer.endpoint, self._clock()
        )
        self._spool.announce(self._digest, waybill)
        self._open(transfer.size)
        self._log.info("fill started", size=transfer.size, endpoint=transfer.endpoint)

    async def _seal(self, writer: PartWriter, transfer: Transfer, *, is_resumed: bool) -> None:
        try:
            sealed = await in_thread(writer.seal)
        except DigestMismatch:
            # A prefix from before a crash may be what was wrong: then nobody is to blame.
            if not is_resumed:
                transfer.accuse()
            raise
        finally:
            self._spool.forget(self._digest)
        self._open(sealed.size)
        self._notify()
        await self._store.adopt(sealed)
        await self._record(sealed.digest, sealed.size)

    def _open(self, size: int | None) -> None:
        self._is_open = True
        self.size = size

    def _notify(self) -> None:
        change, self._change = self._change, asyncio.get_running_loop().create_future()
        change.set_result(None)


class Flights:
    """The flights of this process by digest."""

    def __init__(
        self,
        spool: Spool,
        store: BlobStore,
        record: Callable[[Digest, int], Awaitable[None]],
        tasks: Tasks,
        clock: Callable[[], float],
    ) -> None:
        self._spool = spool
        self._store = store
        self._record = record
        self._tasks = tasks
        self._clock = clock
        self._flying: dict[Digest, Flight] = {}

    def join(self, order: Order) -> tuple[Flight, bool]:
        """Return the flight of a blob, and whether it was already under way in this process."""
        flight = self._flying.get(order.digest)
        if flight is not None:
            return flight, True
        flight = Flight(order, self._spool, self._store, self._record, self._clock)
        self._flying[order.digest] = flight
        task = self._tasks.start(flight.run())
        task.add_done_callback(lambda _: self._flying.pop(order.digest, None))
        return flight, False
