"""The download of one blob in one process: it writes the partial file, or follows its writer.

A download goes on when its readers leave, and continues from the bytes on disk after a fault. If
another process writes the partial file, this one follows it, and takes over if the writer dies.
"""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack

from registry.content.content import Content
from registry.content.ingest import Ingest
from registry.content.writer_life import show_life
from registry.errors import (
    DigestMismatch,
    DownloadCrashed,
    EntrepotError,
    StoreError,
    TooManyDownloads,
    Unknown,
    UpstreamError,
)
from registry.logs import get_logger
from registry.metrics.process_metrics import Metrics
from registry.mirror.announcement import Announcement
from registry.mirror.bandwidth import Bandwidth
from registry.mirror.download_counts import DownloadCounts
from registry.mirror.download_request import DownloadRequest, PartChoice
from registry.mirror.judge import Judge
from registry.mirror.rest import Rest
from registry.store.files import refuse
from registry.store.partial import PartialReader, PartialState, Progress
from registry.store.signs_of_life import WRITER_SILENCE, Silence
from registry.tasks import Tasks
from registry.upstream.download_budget import CHECK, TURN_WAIT, DownloadBudget
from registry.upstream.pacing import Pace

POLL = 0.02  # seconds between two checks of a partial file that another process writes


class Download:
    """The download of one blob for one repository in this process; `readers` use it now."""

    def __init__(
        self,
        request: DownloadRequest,
        content: Content,
        clock: Callable[[], float],
        metrics: Metrics,
        *,
        budget: DownloadBudget,
        bandwidth: Bandwidth,
    ) -> None:
        self.size = request.size
        self.failure: EntrepotError | None = None
        self.is_over = self.is_writer = False
        self.is_delivered = False  # whether all bytes are verified, and the registry has sent them
        self.readers = 0
        self._request, self._digest = request, request.digest
        self._registry = request.repository.registry
        self._content, self._clock = content, clock
        self._counts = DownloadCounts(metrics, self._registry)
        self._turn = budget.open_turn(self._is_read, request.connections, self._registry)
        self._bandwidth = bandwidth
        self.part = PartChoice(request, content, is_warming=bandwidth.is_warming)
        self.has_bytes = False
        self._seen: Progress | None = None
        self._silence = Silence()
        self._change: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        log, name = get_logger("registry.mirror"), str(request.repository)
        self._log = log.bind(blob=str(request.digest), repository=name)

    def open_reader(self) -> PartialReader | None:
        """Open the partial file for reading; None if there is none."""
        return self._content.ingests.open(self.part.name)

    def leave(self) -> None:
        """Note that one reader has left; the download goes on."""
        self.readers -= 1

    def _is_read(self) -> bool:
        return self.readers > 0 or self.part.is_followed()

    def _is_urgent(self) -> bool:
        """Whether a client reads it; a process that only warms has no clients of its own."""
        has_client = self.readers > 0 and not self._bandwidth.is_warming
        return has_client or self.part.is_for_client()

    async def started(self) -> None:
        """Wait until the first bytes are in the partial file, or the download is over.

        Raises:
            TooManyDownloads, EntrepotError: it waited too long for its turn, or failed.
        """
        clock = asyncio.get_running_loop().time
        until = clock() + TURN_WAIT
        while not self.has_bytes and not self.is_over:
            await self.changed()
            if clock() >= until and self._turn.is_waiting:
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
            if self.is_writer:
                self._counts.note_end(self.failure)
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
                ingest = self._content.try_ingest(self._digest, self.part.name)
                if ingest is not None:
                    reader = None
                    if await self._write_in_turn(ingest):
                        return
                    continue
                self._turn.end()
                if not self.has_bytes and self.part.move_on():
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
        If the bytes are wrong and readers may have read some, this download fails too.

        Raises:
            DigestMismatch: the bytes are wrong.
            StoreError: the other process has stopped, and readers get the rest from the upstream.
        """
        if self.readers:
            self.part.note_follower()
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
            info = self._content.ingests.read_info(self.part.name)
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
        self._counts.add_resumed(resumed)
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
                with self._bandwidth.open(self._registry, self._is_urgent) as pace:
                    self._turn.pace = pace
                    await self._fetch(ingest, resumed, pace)
        except TimeoutError:
            if not pausing.expired():
                raise
            self._log.info("download paused", received=ingest.offset)
            return False
        finally:
            self._turn.pausing = None
        return True

    async def _fetch(self, ingest: Ingest, resumed: int, pace: Pace) -> None:
        """Download all bytes after the first `resumed` ones, and again if they are wrong."""
        count, is_right = self._counts.add_received, False
        with Judge(ingest, on_reject=self._begin_again, counts=self._counts) as judge:
            while not is_right:
                download = self._request.open(pace)
                judge.admit(download)
                told = Announcement(ingest, self._request, download, self._clock, resumed)
                rest = Rest(ingest, download, told, self.part, self._turn, count, self._log)
                try:
                    await rest.fetch(resumed, start=self._start, notify=self._notify)
                except (Unknown, UpstreamError) as error:
                    if judge.has_rejected:
                        raise judge.fail(error) from error
                    raise
                is_right, resumed = await judge.is_right(download, told), 0

    def _begin_again(self) -> None:
        """Let readers see that bytes are wrong; who comes now waits for the right ones."""
        self.has_bytes = False
        self._notify()

    def _give_up(self) -> None:
        self.failure = StoreError(str(self._digest), "the disk does not answer")
        self.is_over = True
        self._notify()

    def _start(self, size: int | None) -> None:
        """Let readers begin, because the first bytes are there."""
        self.has_bytes = True
        self.size = size
        self._notify()

    def _notify(self) -> None:
        change, self._change = self._change, asyncio.get_running_loop().create_future()
        change.set_result(None)
