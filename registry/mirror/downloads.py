"""Flights: one transfer per digest, whoever asks, across all worker processes.

A flight belongs to the mirror. It outlives its readers, and it goes on from the bytes on disk after
a fault, a restart, or the death of the process that began it. In each process it is either the
writer of the part, or it follows the writer of another process and stands ready to take over.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import structlog

from registry.content.space import SpaceKeeper
from registry.errors import DigestMismatch, EntrepotError, StoreError
from registry.mirror.batching import Batcher
from registry.oci.digest import Digest
from registry.oci.names import Repository
from registry.store.blocking import in_thread
from registry.store.contract import BlobStore
from registry.store.ingests import IngestInfo, Ingests
from registry.store.partial import PartialReader, PartialState, PartialWriter, Progress
from registry.tasks import Tasks
from registry.upstream.contract import BlobDownload, Source
from registry.upstream.parallel_ranges import read_in_order

POLL = 0.02  # seconds between two looks at a part that another process writes
STEP = 64 * 1024 * 1024  # bytes reserved at a time where nobody tells the size


@dataclass(frozen=True, slots=True)
class DownloadRequest:
    """What to fetch, from where: `size` in bytes where a manifest says it."""

    repository: Repository
    digest: Digest
    size: int | None
    source: Source
    connections: int


class Download:
    """One blob on its way into the store, as this process sees it."""

    def __init__(
        self,
        request: DownloadRequest,
        ingests: Ingests,
        store: BlobStore,
        room: SpaceKeeper,
        clock: Callable[[], float],
    ) -> None:
        self.size = request.size
        self.failure: EntrepotError | None = None
        self.is_over = False
        self.is_writer = False
        self.repository = request.repository
        self._request = request
        self._digest = request.digest
        self._ingests = ingests
        self._store = store
        self._room = room
        self._reserved = 0
        self._is_recorded = False
        self._clock = clock
        self._is_open = False
        self._seen: Progress | None = None
        self._change: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._log = structlog.get_logger("registry.mirror").bind(
            blob=str(request.digest), repository=str(request.repository)
        )

    async def opened(self) -> None:
        """Wait until bytes arrive or the flight is over.

        Raises:
            EntrepotError: what the flight failed with.
        """
        while not self._is_open and not self.is_over:
            await self.changed()
        if self.failure is not None:
            raise self.failure.copy()

    async def ended(self) -> None:
        """Wait until the flight is over.

        Raises:
            EntrepotError: what the flight failed with.
        """
        while not self.is_over:
            await self.changed()
        if self.failure is not None:
            raise self.failure.copy()

    async def changed(self) -> None:
        """Wait for the next change: more bytes, or the end."""
        await asyncio.shield(self._change)

    async def run(self) -> None:
        """Fly to the end; every failure ends up in `failure`."""
        try:
            await self._run()
        except EntrepotError as error:
            self.failure = error.copy()
        except OSError as error:
            self.failure = StoreError(str(error.filename), error.strerror or str(error))
        except Exception:
            self._log.exception("fill crashed")
            raise
        finally:
            self.is_over = True
            self._notify()
        if self.failure is not None:
            self._log.warning("fill failed", why=str(self.failure))

    async def _run(self) -> None:
        with ExitStack() as open_readers:
            reader: PartialReader | None = None
            while await self._store.stat(self._digest) is None:
                if reader is not None:
                    reader = self._watch(reader)
                # Before opening what is there: a verdict left by the dead binds nobody.
                writer = self._ingests.take(self._digest)
                if writer is not None:
                    await self._lead(writer)
                    return
                if reader is None and (reader := self._ingests.open(self._digest)) is not None:
                    open_readers.enter_context(reader)
                    continue
                await asyncio.sleep(POLL)

    def _watch(self, reader: PartialReader) -> PartialReader | None:
        """Look at what the living writer of another process has done.

        Returns None where it gave up or began again: what stopped it may not stop us. Wrong bytes
        are wrong for us too once our readers may have some: the next request begins anew.
        """
        progress = reader.progress()
        if progress.state is PartialState.CONDEMNED and self._is_open:
            raise DigestMismatch(str(self._digest), "wrong bytes arrived")
        former, self._seen = self._seen, progress
        if progress.state in (PartialState.CONDEMNED, PartialState.ABANDONED):
            self._notify()
            return None
        info = None
        if progress.landed and not self._is_open:
            info = self._ingests.read_info(self._digest)
        if info is not None:
            self._open(info.size)
        # Every reader wakes up to look at its file: only when there is something to see.
        if info is not None or progress != former:
            self._notify()
        return reader

    async def _lead(self, writer: PartialWriter) -> None:
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
            try:
                if not writer.received:
                    writer.abandon()
            finally:
                writer.close()
                await self._settle()

    async def _fill(self, writer: PartialWriter) -> None:
        if not writer.is_fresh:  # else there is nothing to read, and clients wait
            await in_thread(writer.resume)
        if not writer.is_right:  # else its former writer died between the last byte and the end
            await self._fetch(writer)
        self._open(writer.received)
        self._notify()
        sealed = await in_thread(writer.seal)
        self._ingests.forget(self._digest)
        self._notify()
        await self._store.adopt(sealed)
        try:
            await self._room.record(sealed.digest, sealed.size)
            self._is_recorded = True
        except StoreError as error:  # the blob is whole and in its place: the files are the truth
            self._log.error("blob not recorded", why=str(error))

    async def _fetch(self, writer: PartialWriter) -> None:
        request = self._request
        # Without a size there is no telling whether the rest is missing, or nothing is.
        is_useless = not writer.is_growing or request.size is None or writer.landed >= request.size
        if is_useless and not writer.is_fresh:
            await in_thread(writer.restart)
        resumed = writer.landed
        transfer = request.source.open_blob(request.repository.name, request.digest, request.size)
        info = self._ingests.read_info(self._digest)
        suspects = tuple(info.suspects) if info is not None else ()
        if suspects:
            transfer.mark_suspect(*suspects)
        chunks = read_in_order(transfer, resumed, request.connections)
        async with Batcher(chunks) as batcher:
            while batch := await batcher.take():
                # Not before something has come: what a manifest says of a size may be a lie, for
                # which everything else would be evicted. Where nobody tells it, step by step.
                come = writer.received + sum(map(len, batch))
                if come > self._reserved:
                    await self._reserve(transfer.size or come + STEP)
                if self._is_open:
                    await in_thread(writer.append, batch)
                    self._notify()
                else:
                    if info is not None:  # what it says of the size may be wrong
                        await in_thread(self._announce, transfer, suspects)
                    # Clients wait for the first bytes, which are few: no thread is waited for.
                    writer.append(batch[:1])
                    self._open(transfer.size)
                    self._notify()
                    if info is None:
                        await in_thread(self._announce, transfer, suspects)
                    self._log.info("fill started", size=transfer.size, endpoint=transfer.endpoint)
                    await in_thread(writer.append, batch[1:])
                    self._notify()
        # Before the verdict: whoever reads that the bytes are wrong may die, or ask again, at once.
        # A prefix from before a crash may be what is wrong: then nobody is to blame.
        if not writer.is_right and not resumed:
            self._announce(transfer, (*suspects, *transfer.mark_suspect()))
        await in_thread(writer.verify)

    async def _reserve(self, size: int) -> None:
        if size > self._reserved:
            await self._room.reserve(self._digest, size)
            self._reserved = size

    async def _settle(self) -> None:
        if self._is_recorded:
            return
        try:
            await self._room.settle(self._digest)
        except StoreError as error:  # the steward will find out
            self._log.error("reservation not settled", why=str(error))

    def _announce(self, transfer: BlobDownload, suspects: Sequence[str]) -> None:
        """Tell the other processes; an accusation stays for them until the blob is whole."""
        repository, endpoint = str(self._request.repository), transfer.endpoint
        self._ingests.write_info(
            self._digest, IngestInfo(transfer.size, repository, endpoint, self._clock(), suspects)
        )

    def _open(self, size: int | None) -> None:
        self._is_open = True
        self.size = size

    def _notify(self) -> None:
        change, self._change = self._change, asyncio.get_running_loop().create_future()
        change.set_result(None)


class Downloads:
    """The flights of this process by digest."""

    def __init__(
        self,
        ingests: Ingests,
        store: BlobStore,
        room: SpaceKeeper,
        tasks: Tasks,
        clock: Callable[[], float],
    ) -> None:
        self._ingests = ingests
        self._store = store
        self._room = room
        self._tasks = tasks
        self._clock = clock
        self._running: dict[Digest, Download] = {}

    def join(self, request: DownloadRequest) -> tuple[Download, bool]:
        """Return the flight of a blob, and whether it was already under way in this process."""
        download = self._running.get(request.digest)
        if download is not None and not download.is_over:
            return download, True
        download = Download(request, self._ingests, self._store, self._room, self._clock)
        self._running[request.digest] = download
        task = self._tasks.start(download.run())
        task.add_done_callback(lambda _: self._leave(request.digest, download))
        return download, False

    def _leave(self, digest: Digest, download: Download) -> None:
        if self._running.get(digest) is download:
            del self._running[digest]
