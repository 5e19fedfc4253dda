"""The rest of a blob, on its way from the upstream into an ingest."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from registry.content.ingest import Ingest
from registry.mirror.announcement import Announcement
from registry.mirror.batching import Batcher
from registry.mirror.download_request import PartChoice
from registry.mirror.landing import land
from registry.upstream.contract import BlobDownload
from registry.upstream.download_budget import Turn
from registry.upstream.parallel_ranges import read_in_order


@dataclass(frozen=True, slots=True)
class Rest:
    """What `download` brings for an ingest, in the turn of its process.

    `told` and `part` are what other processes see of it. `count` is called with the number of
    received bytes, and `log` has the names of blob and repository.
    """

    ingest: Ingest
    download: BlobDownload
    told: Announcement
    part: PartChoice
    turn: Turn
    count: Callable[[int], None]
    log: Any  # structlog leaves it untyped

    async def fetch(
        self, resumed: int, *, start: Callable[[int | None], None], notify: Callable[[], None]
    ) -> None:
        """Append all bytes after the first `resumed` ones to the ingest.

        `start` is called with the size as soon as readers may begin, and `notify` after more bytes.

        Raises:
            BlobUnknown, UpstreamError: as for `BlobDownload.stream`.
            StoreError: the disk refused.
        """
        ingest, download, told = self.ingest, self.download, self.told
        began = time.monotonic()
        if told.suspects:
            download.mark_suspect(*told.suspects)
        if resumed and not download.needs_proof(told.trace.count()):
            download.require_proof()  # clients may read the first bytes already, and go on
        chunks = read_in_order(download, resumed, self.turn, told.trace.note)
        async with Batcher(chunks, self.turn.find_depth) as batcher:
            await told.write()  # while the upstream answers, others learn whose download this is
            self.part.note_announced()
            await ingest.prepare(download.size)
            is_first = True
            while (batch := await batcher.take()) != []:
                if is_first and isinstance(batch, list):  # no thread receives the first bytes
                    is_first = False
                    # The size in a manifest may be wrong; this is the one that the upstream states.
                    await ingest.expect(download.size)
                    self.count(len(batch[0]))
                    await ingest.append_first(batch.pop(0))
                    if not (is_held := told.is_held):
                        start(download.size)
                    await told.write(is_held=is_held)
                    size, endpoint = download.size, download.endpoint
                    self.log.info("download started", size=size, endpoint=endpoint)
                if batch != []:
                    self.count(await land(batch, ingest, notify, self.turn.find_thread_time))
                await told.update()
        self._tell_end(ingest.offset - resumed, time.monotonic() - began)

    def _tell_end(self, received: int, seconds: float) -> None:
        """Log how fast the bytes came: this says later why a pull was slow."""
        rate = int(received / max(seconds, 0.001))  # bytes per second
        self.log.info(
            "download ended",
            received=received,
            seconds=round(seconds, 3),
            rate=rate,
            endpoint=self.download.endpoint,
        )
