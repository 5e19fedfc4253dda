"""Downloads: each blob is downloaded once, for all clients of all worker processes.

A download goes on when its readers leave. After a fault, a restart, or the death of its process, it
continues from the bytes on disk. In each process a `Download` either writes the partial file, or
follows the writer in another process and takes over if that writer dies.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import structlog

from registry.content.content import Content
from registry.content.ingest import Ingest
from registry.errors import DigestMismatch, EntrepotError, StoreError
from registry.metrics import Metrics
from registry.mirror.batching import Batcher
from registry.oci.digest import Digest
from registry.oci.names import Repository
from registry.store.files import refuse
from registry.store.ingests import IngestInfo
from registry.store.partial import PartialReader, PartialState, Progress
from registry.store.signs_of_life import INTERVAL, WRITER_SILENCE, Silence
from registry.tasks import Tasks, in_thread
from registry.upstream.contract import BlobDownload, Source
from registry.upstream.parallel_ranges import read_in_order

POLL = 0.02  # seconds between two checks of a partial file that another process writes


@dataclass(frozen=True, slots=True)
class DownloadRequest:
    """A blob to download, and its source; `size` is in bytes, or None if no manifest states it."""

    repository: Repository
    digest: Digest
    size: int | None
    source: Source
    connections: int


class Download:
    """The download of one blob in this process."""

    def __init__(
        self,
        request: DownloadRequest,
        content: Content,
        clock: Callable[[], float],
        metrics: Metrics,
    ) -> None:
        self.size = request.size
        self.failure: EntrepotError | None = None
        self.is_over = False
        self.is_writer = False
        self.repository = request.repository
        self._request = request
        self._digest = request.digest
        self._content = content
        self._clock = clock
        self._metrics = metrics
        self._has_bytes = False
        self._seen: Progress | None = None
        self._silence = Silence()
        self._change: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._log = structlog.get_logger("registry.mirror").bind(
            blob=str(request.digest), repository=str(request.repository)
        )

    async def started(self) -> None:
        """Wait until the first bytes are in the partial file, or the download is over.

        Raises:
            EntrepotError: why the download failed.
        """
        while not self._has_bytes and not self.is_over:
            await self.changed()
        if self.failure is not None:
            raise self.failure.copy()

    async def ended(self) -> None:
        """Wait until the download is over.

        Raises:
            EntrepotError: why the download failed.
        """
        while not self.is_over:
            await self.changed()
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
            raise
        finally:
            self.is_over = True
            self._notify()
        if self.failure is not None:
            self._log.warning("download failed", why=str(self.failure))

    async def _run(self) -> None:
        with ExitStack() as open_readers:
            reader: PartialReader | None = None
            # This comes before the partial file is opened for reading: if a process that died left
            # the file rejected or whole, this process begins again.
            while (ingest := self._content.try_ingest(self._digest)) is None:
                if reader is None and (reader := self._content.follow(self._digest)) is not None:
                    open_readers.enter_context(reader)
                else:
                    await asyncio.sleep(POLL)
                if await self._content.blobs.stat(self._digest) is not None:
                    return
                if reader is not None:
                    reader = self._watch(reader)
            async with ingest, Tasks() as beats:
                beats.start(self._keep_beating(ingest, beats))
                await self._write(ingest)

    async def _keep_beating(self, ingest: Ingest, beats: Tasks) -> None:
        """Show that this writer is alive; if the disk does not answer, release its readers."""
        while not self.is_over:
            await asyncio.sleep(INTERVAL)
            living = beats.start(ingest.show_life())
            await asyncio.wait([living], timeout=WRITER_SILENCE)
            if not living.done() or not living.result():
                self.failure = StoreError(str(self._digest), "the disk does not answer")
                self.is_over = True
                self._notify()

    def _watch(self, reader: PartialReader) -> PartialReader | None:
        """Check the file that another process writes, and notify the readers of changes.

        Returns None if the other process gave up or began again: this process may then continue.
        If the bytes are wrong and readers may have read some, this download fails too. The next
        request starts another download.

        Raises:
            DigestMismatch: the bytes are wrong.
            StoreError: the other process has stopped, and readers get the rest from the upstream.
        """
        progress = reader.progress()
        now = asyncio.get_running_loop().time()
        if self._silence.measure((progress.written, progress.touched), now) >= WRITER_SILENCE:
            raise StoreError(str(self._digest), "the process that was writing it has stopped")
        if progress.state is PartialState.REJECTED and self._has_bytes:
            raise DigestMismatch(str(self._digest), "the upstream sent wrong bytes")
        former, self._seen = self._seen, progress
        if progress.state in (PartialState.REJECTED, PartialState.ABANDONED):
            self._notify()
            return None
        info = None
        if progress.written and not self._has_bytes:
            info = self._content.read_info(self._digest)
        if info is not None:
            self._start(info.size)
        # Readers are notified only of changes, because each of them then checks its file.
        elif progress != former:
            self._notify()
        return reader

    async def _write(self, ingest: Ingest) -> None:
        if await self._content.blobs.stat(self._digest) is not None:
            await ingest.abort()  # another process has just stored it
            return
        self.is_writer = True  # only now: readers of a stored blob must not wait for our empty file
        try:
            resumed = await ingest.resume(self._request.size)
            if not ingest.is_complete:  # if complete, its writer died just before the end
                await self._fetch(ingest, resumed)
            self._start(await ingest.verify())
            await ingest.commit(self._notify)
        except StoreError:
            await ingest.abort()  # readers then get the rest from the upstream
            raise

    async def _fetch(self, ingest: Ingest, resumed: int) -> None:
        """Download all bytes after the first `resumed` ones."""
        request = self._request
        download = request.source.open_blob(request.repository.name, request.digest, request.size)
        info = ingest.read_info()
        suspects = tuple(info.suspects) if info is not None else ()
        if suspects:
            download.mark_suspect(*suspects)
        chunks = read_in_order(download, resumed, request.connections)
        async with Batcher(chunks) as batcher:
            while batch := await batcher.take():
                self._metrics.downloaded_bytes.inc(sum(map(len, batch)))
                if not self._has_bytes:
                    # The file of an earlier writer may state another size: replace it before the
                    # bytes.
                    if info is not None:
                        await in_thread(self._announce, ingest, download, suspects)
                    await ingest.append_first(batch.pop(0), download.size)
                    self._start(download.size)
                    if info is None:
                        await in_thread(self._announce, ingest, download, suspects)
                    self._log.info(
                        "download started", size=download.size, endpoint=download.endpoint
                    )
                if batch:
                    # The size is now the one that the upstream states. The size in a manifest may
                    # be wrong, and too many blobs would be evicted for it.
                    await ingest.append(batch, download.size)
                    self._notify()
        # Written before the check of the digest: after it this process may die, or another process
        # may start a download. If an earlier writer's bytes may be wrong, no endpoint is suspected.
        if not resumed and not ingest.is_complete:
            self._announce(ingest, download, (*suspects, *download.mark_suspect()))

    def _announce(self, ingest: Ingest, download: BlobDownload, suspects: Sequence[str]) -> None:
        """Write information for other processes; `suspects` stay in it until the blob is whole."""
        repository, endpoint = str(self._request.repository), download.endpoint
        ingest.write_info(IngestInfo(download.size, repository, endpoint, self._clock(), suspects))

    def _start(self, size: int | None) -> None:
        """Let readers begin, because the first bytes are there."""
        self._has_bytes = True
        self.size = size
        self._notify()

    def _notify(self) -> None:
        change, self._change = self._change, asyncio.get_running_loop().create_future()
        change.set_result(None)


class Downloads:
    """The downloads of this process by digest."""

    def __init__(
        self, content: Content, tasks: Tasks, clock: Callable[[], float], metrics: Metrics
    ) -> None:
        self._content = content
        self._tasks = tasks
        self._clock = clock
        self._metrics = metrics
        self._running: dict[Digest, Download] = {}

    def join(self, request: DownloadRequest) -> tuple[Download, bool]:
        """Return the download of a blob, and whether it had already begun in this process."""
        download = self._running.get(request.digest)
        if download is not None and not download.is_over:
            return download, True
        download = Download(request, self._content, self._clock, self._metrics)
        self._running[request.digest] = download
        task = self._tasks.start(download.run())
        task.add_done_callback(lambda _: self._leave(request.digest, download))
        return download, False

    def refuse(self, request: DownloadRequest, failure: StoreError) -> Download:
        """Return a download that has already failed with `failure`; it was never started."""
        download = Download(request, self._content, self._clock, self._metrics)
        download.failure, download.is_over = failure, True
        return download

    def _leave(self, digest: Digest, download: Download) -> None:
        if self._running.get(digest) is download:
            del self._running[digest]
