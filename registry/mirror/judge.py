"""What happens when all bytes of a blob have come: they are right, repaired, or asked for again.

Wrong bytes that cannot be traced are downloaded again from one endpoint alone. Its digest then says
whether that endpoint lies, and the right bytes say which others have lied before (decision record
0039).
"""

from collections.abc import Callable
from typing import Self

from registry.content.ingest import Ingest
from registry.errors import DigestMismatch, StoreError, Unknown, UpstreamError
from registry.mirror.announcement import Announcement
from registry.mirror.download_counts import DownloadCounts
from registry.mirror.repair import repair
from registry.store.rejected import RejectedBytes
from registry.tasks import in_thread
from registry.upstream.contract import BlobDownload
from registry.upstream.sender_trace import SenderTrace

ADVICE = (
    "`entrepot upstreams ls` shows which endpoints are suspect, and `entrepot upstreams test` finds"
    " others"
)


class Judge:
    """Judges the downloads of one blob, one after the other, until its digest is right.

    `on_reject` is called when readers can see that their bytes are wrong: the right ones come in
    another file. `counts` counts what is received for comparisons, and what was wrong. Close it
    after use, or use it with `with`.
    """

    def __init__(
        self, ingest: Ingest, *, on_reject: Callable[[], None], counts: DownloadCounts
    ) -> None:
        self.liars: list[str] = []  # the endpoints that have sent a whole wrong blob
        self.has_rejected = False  # whether a download before this one was wrong
        self._ingest = ingest
        self._on_reject = on_reject
        self._counts = counts
        self._rejected: list[tuple[RejectedBytes, SenderTrace]] = []  # of several endpoints
        self._size = 0
        self._story: list[str] = []  # who has sent what was wrong

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for rejected, _trace in self._rejected:
            rejected.close()

    def admit(self, download: BlobDownload) -> None:
        """Let a download ask only endpoints that have not lied about this blob.

        Raises:
            DigestMismatch: there are none.
        """
        if self.liars and not download.exclude(self.liars):
            raise self._describe("no other endpoint is left")

    def fail(self, error: Unknown | UpstreamError) -> DigestMismatch:
        """Return the error of a download that nobody else could complete."""
        return self._describe(f"then: {error}")

    async def is_right(self, download: BlobDownload, told: Announcement) -> bool:
        """Whether the blob is right, or was repaired; otherwise it is downloaded again.

        Raises:
            DigestMismatch: the bytes are wrong, and another download would be no use.
            StoreError: the disk refused.
        """
        ingest, trace = self._ingest, told.trace
        if ingest.is_complete:
            download.mark_right()
            await self._name_liars(download)
            return True
        senders, size = download.list_senders(), ingest.offset
        is_known = await told.suspect() and trace.stop == size
        self._size = size
        self._counts.add_wrong(size)
        self._story.append(f"{'then ' if self._story else ''}{_describe_senders(trace)}")
        rejected = await self._reject(trace) if is_known else None
        if rejected is None:
            if is_known:
                self._accuse(download, trace)
            await self._raise_mismatch()
            return False
        is_repairable = len(senders) > 1 and size == download.size
        if is_repairable and await repair(
            ingest, rejected, download, trace, senders=senders, note=self._counts.add_received
        ):
            download.mark_right()
            return True
        is_first, self.has_rejected = not self.has_rejected, True
        if self._accuse(download, trace):  # nothing is left to find out about these bytes
            self._rejected.pop()
            rejected.close()
        elif not is_first:
            raise self._describe("no endpoint has sent all of it")
        return False

    async def _reject(self, trace: SenderTrace) -> RejectedBytes | None:
        """Go on in an empty file; None if there is too little space for both files."""
        try:
            rejected = await self._ingest.begin_again()
        except StoreError:
            return None
        self._rejected.append((rejected, trace))
        self._on_reject()
        return rejected

    async def _raise_mismatch(self) -> None:
        try:
            await self._ingest.verify()
        except DigestMismatch as error:
            raise self._describe() from error

    def _accuse(self, download: BlobDownload, trace: SenderTrace) -> bool:
        """Mark the endpoints that sent a wrong blob; return whether only one of them sent it."""
        counts = trace.count()
        if len(counts) == 1:
            (liar,) = counts
            self.liars.append(liar)
            download.mark_wrong(liar)
            return True
        download.mark_suspect(*sorted(counts, key=counts.__getitem__))
        return False

    async def _name_liars(self, download: BlobDownload) -> None:
        """Compare what was rejected with the right bytes; who sent what differs is a liar."""
        for rejected, trace in self._rejected:
            spans = [(span, *origins) for span, origins in trace.spans if len(origins) == 1]
            wrong: dict[str, bool] = {}
            for span, origin in spans:
                if origin not in self.liars and not wrong.get(origin):
                    wrong[origin] = await in_thread(self._ingest.differs, rejected, span)
            for origin, is_wrong in wrong.items():
                if is_wrong:
                    download.mark_wrong(origin)
                    self.liars.append(origin)
                else:
                    download.acquit(origin)

    def _describe(self, end: str = "") -> DigestMismatch:
        details = "; ".join(filter(None, (*self._story, end, ADVICE)))
        why = f"{self._size} bytes were received, and are wrong"
        return DigestMismatch(str(self._ingest.digest), why, details)


def _describe_senders(trace: SenderTrace) -> str:
    """Return who has sent how many bytes."""
    counts = trace.count()
    return ", ".join(
        f"{count} bytes from {origin or 'an earlier download'}" for origin, count in counts.items()
    )
