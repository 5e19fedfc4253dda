"""What the writer of a partial file tells other processes, and the next writer, of its download."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from registry.content.ingest import Ingest
from registry.mirror.download_request import DownloadRequest
from registry.tasks import in_thread
from registry.upstream.contract import BlobDownload
from registry.upstream.sender_trace import UNKNOWN, SenderTrace

INTERVAL = 2.0  # seconds between two notes of who has sent which bytes


class Announcement:
    """The side file of one download that goes on after the first `resumed` bytes.

    `trace` says who has sent which bytes. `suspects` are the endpoints that sent wrong bytes
    before; they stay in the file until the blob is whole.
    """

    def __init__(
        self,
        ingest: Ingest,
        request: DownloadRequest,
        download: BlobDownload,
        clock: Callable[[], float],
        resumed: int,
    ) -> None:
        info = ingest.read_info()
        self.suspects = tuple(info.suspects) if info is not None else ()
        self.trace = SenderTrace(info.senders if info is not None and resumed else ())
        if resumed:
            self.trace.resume(resumed)
        self._ingest = ingest
        self._request = request
        self._download = download
        self._clock = clock
        self._written = 0
        self._written_at = 0.0

    @property
    def is_held(self) -> bool:
        """Whether nothing is sent before the digest was right: an endpoint has to prove itself."""
        return self._download.needs_proof({*self.trace.list_origins(), self._download.endpoint})

    async def write(self, *, is_held: bool | None = None) -> None:
        """Write all that is known; `is_held` is that of just now, if the caller knows it.

        Raises:
            StoreError: the disk refused.
        """
        entries = self.trace.entries
        self._written, self._written_at = len(entries), time.monotonic()
        is_held = self.is_held if is_held is None else is_held
        await in_thread(self._write, self.suspects, entries, is_held=is_held)

    async def update(self) -> None:
        """Write who has sent which bytes, if others have sent some since then; see `write`."""
        is_due = time.monotonic() - self._written_at >= INTERVAL
        if is_due and len(self.trace) != self._written:
            await self.write()

    async def suspect(self) -> bool:
        """Write that the digest is wrong, and who has sent bytes; return whether that is known.

        After this, the process may die, or another one may begin. If nobody knows who sent some of
        the bytes, nobody is suspected.

        Raises:
            StoreError: the disk refused.
        """
        counts = self.trace.count()
        if UNKNOWN in counts:
            return False
        senders = sorted(counts, key=counts.__getitem__)
        entries, suspects = self.trace.entries, (*self.suspects, *senders)
        await in_thread(self._write, suspects, entries, is_held=self.is_held)
        return True

    def _write(
        self,
        suspects: Sequence[str],
        senders: Sequence[tuple[int, Sequence[str]]],
        *,
        is_held: bool,
    ) -> None:
        info = self._request.describe(self._download, self._clock(), suspects, senders)
        # Without an endpoint, no other process begins to read.
        self._ingest.write_info(replace(info, endpoint="") if is_held else info)
