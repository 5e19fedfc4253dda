"""Downloads: each blob is downloaded once, for all clients of all worker processes."""

import asyncio
from collections.abc import Callable
from typing import NoReturn

from registry.content.content import Content
from registry.errors import StoreError, TooManyReaders
from registry.logs import get_logger
from registry.metrics.process_metrics import Metrics
from registry.mirror.bandwidth import Bandwidth
from registry.mirror.download import Download
from registry.mirror.download_request import DownloadRequest
from registry.mirror.free_memory import release_memory
from registry.oci.digest import Digest
from registry.oci.names import Repository
from registry.tasks import Tasks, in_thread
from registry.upstream.download_budget import DownloadBudget
from registry.upstream.via import names_passed

REASON = "download"  # the label of the metric of clients that were refused
CALM = 1.0  # seconds without a download after which the memory of downloads is given back
_Key = tuple[Repository, Digest, tuple[str, ...]]


class Downloads:
    """The downloads of this process, which share `budget` and `bandwidth`.

    They are found by repository, digest, and the mirrors that a request has passed through. Those
    of two keys follow each other like those of two processes.
    """

    def __init__(
        self,
        content: Content,
        tasks: Tasks,
        clock: Callable[[], float],
        metrics: Metrics,
        *,
        budget: DownloadBudget,
        bandwidth: Bandwidth,
        on_delivered: Callable[[DownloadRequest, int | None], None],
        most_readers: int,
    ) -> None:
        """`on_delivered` is called with each blob that was downloaded, and its size in bytes.

        `most_readers` is how many clients may read one download.
        """
        self._content = content
        self._tasks = tasks
        self._clock = clock
        self._metrics = metrics
        self.budget = budget
        self.bandwidth = bandwidth
        self._on_delivered = on_delivered
        self._most_readers = most_readers
        self._running: dict[_Key, Download] = {}
        self._crowded: set[_Key] = set()  # of which clients were refused, so that it is logged once
        self._have_ended = asyncio.Event()

    def join(
        self, request: DownloadRequest, *, is_for_client: bool = False
    ) -> tuple[Download, bool]:
        """Return the download of a blob, and whether it had already begun in this process.

        The caller reads it until it calls `Download.leave`.

        Raises:
            TooManyReaders: it is for a client, and as many as are allowed read the download.
        """
        key = _make_key(request)
        running = self._running.get(key)
        if running is not None and not running.is_over:
            if is_for_client and running.readers >= self._most_readers:
                self._refuse_reader(key)
            running.readers += 1
            return running, True
        download = self._running[key] = self._build(request)
        download.readers += 1
        task = self._tasks.start(download.run())
        task.add_done_callback(lambda done: self._end(done, key, download, request))
        return download, False

    def _refuse_reader(self, key: _Key) -> NoReturn:
        self._metrics.refused_requests.labels(REASON).inc()
        if key not in self._crowded:
            self._crowded.add(key)
            repository, digest, _ = key
            log = get_logger("registry.mirror")
            log.warning(
                "too many clients for one download",
                blob=str(digest),
                repository=str(repository),
                clients=self._most_readers,
            )
        raise TooManyReaders(self._most_readers)

    def count_readers(self) -> int:
        """Return how many clients of this process read a download now."""
        return sum(each.readers for each in self._running.values())

    def count_waiting(self) -> dict[str, int]:
        """Return how many clients of this process read each partial file, by its name."""
        found: dict[str, int] = {}
        for each in self._running.values():
            name = str(each.part.name)
            found[name] = found.get(name, 0) + each.readers
        return found

    def are_delivering(self, request: DownloadRequest) -> bool:
        """Whether the registry has delivered all of a blob, and that is being recorded."""
        running = self._running.get(_make_key(request))
        return running is not None and running.is_delivered

    def refuse(self, request: DownloadRequest, failure: StoreError) -> Download:
        """Return a download that has already failed with `failure`; it was never started."""
        download = self._build(request)
        download.failure, download.is_over = failure, True
        download.readers += 1
        return download

    async def keep_releasing(self) -> None:
        """Give back the memory of downloads when all have ended, until cancelled."""
        while True:
            await self._have_ended.wait()
            self._have_ended.clear()
            await asyncio.sleep(CALM)
            if not self._running:
                await in_thread(release_memory)

    def _build(self, request: DownloadRequest) -> Download:
        return Download(
            request,
            self._content,
            self._clock,
            self._metrics,
            budget=self.budget,
            bandwidth=self.bandwidth,
        )

    def _end(
        self,
        task: asyncio.Task[None],
        key: _Key,
        download: Download,
        request: DownloadRequest,
    ) -> None:
        if self._running.get(key) is download:
            del self._running[key]
            self._crowded.discard(key)
        if not self._running:
            self._have_ended.set()
        if not task.cancelled() and download.is_delivered and download.failure is None:
            self._on_delivered(request, download.size)


def _make_key(request: DownloadRequest) -> _Key:
    return request.repository, request.digest, names_passed()
