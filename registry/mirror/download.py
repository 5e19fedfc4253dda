"""The download of one blob in one process: it writes the partial file, or follows its writer.

A download goes on when its readers leave, and continues from the bytes on disk after a fault. If
another process writes the partial file, this one follows it, and takes over if the writer dies.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import ExitStack

import structlog

from registry.content.content import Content
from registry.content.ingest import Ingest
from registry.content.writer_life import show_life
from registry.errors import (
    DigestMismatch,
    DownloadCrashed,
    EntrepotError,
    StoreError,
    TooManyDownloads,
)
from registry.metrics import Metrics
from registry.mirror.batching import Batcher
from registry.mirror.download_request import DownloadRequest, PartChoice
from registry.mirror.landing import land
from registry.store.files import refuse
from registry.store.partial import PartialReader, PartialState, Progress
from registry.store.signs_of_life import WRITER_SILENCE, Silence
from registry.tasks import Tasks, in_thread
from registry.upstream.contract import BlobDownload
from registry.upstream.download_budget import CHECK, TURN_WAIT, DownloadBudget
from registry.upstream.parallel_ranges import read_in_order

POLL = 0.02  # seconds between two checks of a partial file that another process writes


class Download:
    """The download of one blob for one repository in this process; `readers` use it now."""

    def __init__(
        self,
        request: DownloadRequest,
        content: Content,
        clock: Callable[[], float],
        metrics: Metrics,
        budget: DownloadBudget,
    ) -> None:
        self.size = request.size
        self.failure: EntrepotError | None = None
        self.is_over = False
        self.is_writer = False
        self.is_delivered = False  # whether all bytes are verified, and the registry has sent them
        self.readers = 0
        self._request = request
        self._digest = request.digest
        self._content = content
        self._clock = clock
        self._metrics = metrics
        self._turn = budget.open_turn(self._is_read, request.connections, request.registry)
        self._part = PartChoice(request, content)
        self.has_bytes = False
        self._seen: Progress | None = None
        self._silence = Silence()
        self._change: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        log, name = structlog.get_logger("registry.mirror"), str(request.repository)
        self._log = log.bind(blob=str(request.digest), repository=name)

    def open_reader(self) -> PartialReader | None:
        """Open the partial file for reading; None if there is none."""
        return self._content.follow(self._part.name)

    def leave(self) -> None:
        """Note that one reader has left; the download goes on."""
        self.readers -= 1

    def _is_read(self) -> bool:
        return self.readers > 0 or self._part.is_followed()

    async def started(self) -> None:
        """Wait until the first bytes are in the partial file, or the download is over.

        Raises:
            TooManyDownloads, EntrepotError: it waited too long for its turn, or failed.
        """
        clock = asyncio.get_running_loop().time
        until = clock() + TURN_WAIT
        while not self.has_bytes and not self.is_over:
            await self.changed()
            if self._turn.is_waiting and clock() >= until:
                raise TooManyDownloads
        self._raise_failure()

    async def ended(self) -> None:
        """Wait until the download is over; raises as `started` why it failed."""
        while not self.is_over:
            await self.changed()
        self._raise_failure()

    def _raise_failure(self) -> None:
        if self.failure is not None:
            raise self.failure.copy()

    async def changed(self) -> None:
        """Wait for the next change: more bytes, or the end of the download."""
        await asyncio.shield(self._change)

    async def run(self) -> None:
        """Run the download to its end; an error is stored in `failure`, and not raised."""
        try:
            await self._run()
            self.failure = None  # set if the disk did not answer for a time
        except EntrepotError as error:
            self.failure = error.copy()
        except OSError as error:
            self.failure = refuse(error.filename, error)
        except Exception:
            self._log.exception("download crashed")
            self.failure = DownloadCrashed(str(self._digest))
            raise
        finally:
            self.is_over = True
            self._turn.end()
            self._notify()
        if self.failure is not None:
            self._log.warning("download failed", why=str(self.failure))

    async def _run(self) -> None:
        with ExitStack() as open_readers:
            reader: PartialReader | None = None
            while True:
                if reader is None and not self._turn.begin():
                    if await self._wait_for_turn():
                        return
                    continue
                # This comes before the partial file is opened for reading: if a process that died
                # left the file rejected or whole, this process begins again.
                ingest = self._content.try_ingest(self._digest, self._part.name)
                if ingest is not None:
                    reader = None
                    if await self._write_in_turn(ingest):
                        return
                    continue
                self._turn.end()
                if not self.has_bytes and self._part.move_on():
                    reader = None
                    continue
                if reader is None and (reader := self.open_reader()) is not None:
                    open_readers.enter_context(reader)
                else:
                    await asyncio.sleep(POLL)
                if await self._content.blobs.stat(self._digest) is not None:
                    return
                if reader is not None:
                    reader = self._watch(reader)

    async def _wait_for_turn(self) -> bool:
        """Wait for a moment, since others use all connections; return whether the blob is stored.

        Raises:
            TooManyDownloads: nobody reads this download, and too many such downloads wait.
        """
        self.has_bytes = False  # who comes now waits too, and does not get half an answer
        if self._turn.is_superfluous:
            raise TooManyDownloads
        await self._turn.wait(CHECK)
        self._notify()
        return await self._content.blobs.stat(self._digest) is not None

    def _watch(self, reader: PartialReader) -> PartialReader | None:
        """Check the file that another process writes, and notify the readers of changes.

        Returns None if the other process gave up or began again: this process may then continue.
        If the bytes are wrong and readers may have read some, this download fails too. The next
        request starts another download.

        Raises:
            DigestMismatch: the bytes are wrong.
            StoreError: the other process has stopped, and readers get the rest from the upstream.
        """
        if self.readers:
            self._part.note_follower()
        progress = reader.progress()
        now = asyncio.get_running_loop().time()
        if self._silence.measure((progress.written, progress.touched), now) >= WRITER_SILENCE:
            raise StoreError(str(self._digest), "the process that was writing it has stopped")
        if progress.state is PartialState.REJECTED and self.has_bytes:
            raise DigestMismatch(str(self._digest), "the upstream sent wrong bytes")
        former, self._seen = self._seen, progress
        if progress.state in (PartialState.REJECTED, PartialState.ABANDONED):
            self._notify()
            return None
        info = None
        if progress.written and not self.has_bytes:
            info = self._content.read_info(self._part.name)
        if info is not None and info.endpoint and self._request.may_continue(info):
            self._start(info.size)
        elif progress != former:  # only of changes, because each reader then checks its file
            self._notify()
        return reader

    async def _write_in_turn(self, ingest: Ingest) -> bool:
        """Write the blob if others do not need the connection; return whether it is stored."""
        async with ingest, Tasks() as tasks:
            if not self._turn.begin():
                return False
            tasks.start(show_life(ingest, tasks, self._give_up))
            if await self._content.blobs.stat(self._digest) is not None:
                await ingest.abort()  # another process has just stored it
                return True
            try:
                return await self._write(ingest)
            except StoreError:
                await ingest.abort()  # readers then get the rest from the upstream
                raise
            finally:
                self._turn.end()

    async def _write(self, ingest: Ingest) -> bool:
        self.is_writer = True  # only now: readers of a stored blob must not wait for our empty file
        resumed = await ingest.resume(self._request.size)
        info = ingest.read_info() if resumed else None
        if not ingest.is_complete:  # if complete, its writer died just before the end
            if resumed and not self._request.may_continue(info):
                await ingest.restart()
                resumed = 0
            if not await self._fetch_until_paused(ingest, resumed):
                return False
        size, registry = await ingest.verify(), self._request.find_deliverer(resumed, info)
        self.is_delivered = bool(registry)
        if registry or not self._request.needs_origin:
            self._start(size)
        await ingest.commit(self._notify, registry=registry)
        return True

    async def _fetch_until_paused(self, ingest: Ingest, resumed: int) -> bool:
        """Download the rest; return false if others need the connection before its end."""
        pausing = asyncio.timeout(None)
        try:
            async with pausing:
                self._turn.pausing = pausing
                await self._fetch(ingest, resumed)
        except TimeoutError:
            if not pausing.expired():
                raise
            self._log.info("download paused", received=ingest.offset)
            return False
        finally:
            self._turn.pausing = None
        return True

    async def _fetch(self, ingest: Ingest, resumed: int) -> None:
        """Download all bytes after the first `resumed` ones."""
        request = self._request
        download = request.source.open_blob(request.repository.name, request.digest, request.size)
        info = ingest.read_info()
        suspects = tuple(info.suspects) if info is not None else ()
        if suspects:
            download.mark_suspect(*suspects)
        chunks = read_in_order(download, resumed, self._turn)
        async with Batcher(chunks, lambda: self._turn.depth) as batcher:
            # While the upstream answers, other processes learn whose download this is.
            await in_thread(self._announce, ingest, download, suspects)
            await ingest.prepare(request.size)
            while (batch := await batcher.take()) != []:
                if not self.has_bytes and isinstance(batch, list):
                    # The size in a manifest may be wrong; this is the one that the upstream states.
                    await ingest.expect(download.size)
                    self._metrics.downloaded_bytes.inc(len(batch[0]))
                    await ingest.append_first(batch.pop(0))
                    self._start(download.size)
                    await in_thread(self._announce, ingest, download, suspects)
                    origin = download.endpoint
                    self._log.info("download started", size=download.size, endpoint=origin)
                if batch != []:
                    count = await land(batch, ingest, self._notify, self._turn.thread_time)
                    self._metrics.downloaded_bytes.inc(count)
        # Written before the check of the digest: after it this process may die, or another process
        # may start a download. If an earlier writer's bytes may be wrong, no endpoint is suspected.
        if not resumed and not ingest.is_complete:
            self._announce(ingest, download, (*suspects, *download.mark_suspect()))

    def _give_up(self) -> None:
        self.failure = StoreError(str(self._digest), "the disk does not answer")
        self.is_over = True
        self._notify()

    def _announce(self, ingest: Ingest, download: BlobDownload, suspects: Sequence[str]) -> None:
        """Write information for other processes; `suspects` stay in it until the blob is whole."""
        ingest.write_info(self._request.describe(download, self._clock(), suspects))

    def _start(self, size: int | None) -> None:
        """Let readers begin, because the first bytes are there."""
        self.has_bytes = True
        self.size = size
        self._notify()

    def _notify(self) -> None:
        change, self._change = self._change, asyncio.get_running_loop().create_future()
        change.set_result(None)
