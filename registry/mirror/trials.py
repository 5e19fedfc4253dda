"""Trials of endpoints that have sent wrong bytes: whether they send right ones by now.

Such an endpoint is asked last, so that no client's request would ever show it. A blob that others
have just sent is asked of it too, in the background, and its bytes are only hashed: no client reads
them or waits for them (decision record 0039).
"""

import asyncio
from contextlib import aclosing

from registry.errors import Unknown, UpstreamError
from registry.logs import get_logger
from registry.metrics.process_metrics import Metrics
from registry.mirror.bandwidth import Bandwidth
from registry.mirror.download_request import DownloadRequest
from registry.tasks import Tasks
from registry.upstream.contract import BlobDownload
from registry.upstream.download_budget import TURN_WAIT, DownloadBudget, Turn

LEAST = 1024 * 1024  # bytes; small answers of an endpoint that lies are often right
MOST = 64 * 1024 * 1024  # bytes; larger blobs would take much of a slow link for one trial
LONGEST = 600.0  # seconds after which a trial is given up


class Trials:
    """The trials of this process: one at a time for each upstream, after the clients' downloads."""

    def __init__(
        self, tasks: Tasks, metrics: Metrics, *, budget: DownloadBudget, bandwidth: Bandwidth
    ) -> None:
        self._tasks = tasks
        self._metrics = metrics
        self._budget = budget
        self._bandwidth = bandwidth

    def note(self, request: DownloadRequest, size: int | None) -> None:
        """Note that a blob of `size` bytes was downloaded; begin a trial with it if one is due."""
        if size is None or not LEAST <= size <= MOST:
            return
        key = ("trial", request.repository.registry)
        is_due = request.source.is_trial_due(request.repository.name)
        if not is_due or self._tasks.is_running(key):
            return
        self._tasks.share(key, lambda: self._run(request, size))

    async def _run(self, request: DownloadRequest, size: int) -> None:
        """Try a suspect, unless clients need the connection."""
        turn = self._budget.open_turn(lambda: False, 1, request.repository.registry)
        try:
            if await turn.begin_within(TURN_WAIT):
                await self._run_in_turn(request, size, turn)
        except TimeoutError:  # too slow, or others need the connection; it is tried again later
            pass
        finally:
            turn.end()

    async def _run_in_turn(self, request: DownloadRequest, size: int, turn: Turn) -> None:
        with self._bandwidth.open(request.repository.registry, lambda: False) as pace:
            turn.pace = pace
            name, digest = request.repository.name, request.digest
            download = request.source.open_trial(name, digest, size, pace=pace)
            if download is None:
                return
            try:
                async with asyncio.timeout(LONGEST) as turn.pausing:
                    is_right = await self._is_right(request, download, size)
            except (Unknown, UpstreamError):  # the log has it already, and nothing is shown
                return
            finally:
                turn.pausing = None
            if is_right:
                download.mark_right()
            else:
                download.mark_suspect()
            get_logger("registry.mirror").info(
                "suspect tried",
                blob=str(digest),
                endpoint=download.endpoint,
                is_right=is_right,
                size=size,
            )

    async def _is_right(self, request: DownloadRequest, download: BlobDownload, size: int) -> bool:
        count = self._metrics.downloaded_bytes.labels(request.repository.registry).inc
        hasher = request.digest.hasher()
        async with aclosing(download.stream(0, size)) as chunks:
            async for chunk in chunks:
                count(len(chunk))
                hasher.update(chunk)
        return hasher.hexdigest() == request.digest.encoded
