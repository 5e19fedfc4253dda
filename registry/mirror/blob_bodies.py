"""The blobs that are sent to clients: those in the store, and those that are being downloaded."""

import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import ExitStack, aclosing
from dataclasses import dataclass, replace

from registry.errors import DigestMismatch, EntrepotError, StoreError, TooManyDownloads
from registry.logs import get_logger
from registry.metrics.process_metrics import Metrics
from registry.mirror.bandwidth import Bandwidth
from registry.mirror.cache_status import CacheStatus
from registry.mirror.download import Download
from registry.mirror.download_request import DownloadRequest
from registry.mirror.passthrough import pass_through
from registry.oci.byte_ranges import Span
from registry.store.contract import Body, FileBody
from registry.store.partial import PartialReader, PartialState
from registry.tasks import in_thread
from registry.upstream.download_budget import TURN_WAIT, DownloadBudget

_PIECE = 1024 * 1024  # bytes read at a time to compare them


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """A whole blob, open in the store; close it after use.

    Whoever sends it calls `note_use` first, unless that was noted when it was opened.
    """

    body: Body
    origin: CacheStatus
    note_use: Callable[[], None] = lambda: None

    @property
    def size(self) -> int:
        """The size in bytes."""
        return self.body.size

    def find_place(self, start: int, stop: int) -> tuple[int, int, int] | None:
        """Return the descriptor and the range of these bytes; None if no one file has all."""
        body = self.body
        if not isinstance(body, FileBody):
            return None
        if body.rest is None:
            return body.descriptor, body.start + start, body.start + stop
        places = list(body.slices(start, stop))
        return places[0] if len(places) == 1 else None

    async def pieces(
        self, start: int, stop: int
    ) -> AsyncGenerator[tuple[int, int, int] | bytes, None]:
        """Yield the bytes `start` to `stop`, piece by piece.

        A piece is a slice of a local file if the store has one, and otherwise the bytes themselves.

        Raises:
            StoreError: the store refused.
        """
        if isinstance(self.body, FileBody):
            for place in self.body.slices(start, stop):
                yield place
        else:
            async for chunk in self.body.chunks(start, stop):
                yield chunk

    async def begins_as(self, reader: PartialReader, sent: Span) -> bool:
        """Whether the bytes in `sent` of a partial file are also those of this blob."""
        at = sent.start
        async for own in self._read(sent):
            if own != await in_thread(reader.read, at, len(own)):
                return False
            at += len(own)
        return at == sent.stop

    async def _read(self, span: Span) -> AsyncGenerator[bytes, None]:
        async for piece in self.pieces(span.start, span.stop):
            if isinstance(piece, bytes):
                yield piece
                continue
            descriptor, start, stop = piece
            for at in range(start, stop, _PIECE):
                yield await in_thread(os.pread, descriptor, min(_PIECE, stop - at), at)

    def close(self) -> None:
        """Close the body."""
        self.body.close()


class DownloadingBlob:
    """A blob that is being downloaded; `size` is None if it is not known. Close it after use."""

    def __init__(
        self,
        request: DownloadRequest,
        download: Download,
        reader: PartialReader | None,
        origin: CacheStatus,
        *,
        metrics: Metrics,
        budget: DownloadBudget,
        bandwidth: Bandwidth,
        open_stored: Callable[[], Awaitable[StoredBlob | None]] | None = None,
    ) -> None:
        """`open_stored` opens the blob as soon as it is stored; None if it may not be read."""
        self.size = download.size if download.size is not None else request.size
        self.origin = origin
        self._request = request
        self._download = download
        self._reader = reader
        self._metrics = metrics
        self._open_stored = open_stored
        self._budget = budget
        self._bandwidth = bandwidth

    @property
    def is_passed_through(self) -> bool:
        """Whether there is no partial file, so that all bytes come straight from the upstream."""
        return self._reader is None

    def fileno(self) -> int:
        """Return the descriptor of the partial file, to read bytes that `advance` returned."""
        return -1 if self._reader is None else self._reader.fileno()

    async def advance(self, offset: int) -> int:
        """Wait until there are bytes at `offset`, and return the offset where they end.

        If the result is `offset` itself, the blob ends there.

        Raises:
            DigestMismatch: the bytes of the download are wrong.
            StoreError: the disk refused, or the download ended as the blob is stored by now.
            UpstreamError: the download failed; the next request continues it.

        After an error, `read_rest` yields the rest if it can be had.
        """
        if self._reader is None:
            raise self._find_failure()
        while True:
            was_over = self._download.is_over
            progress = self._reader.progress()
            if progress.state is PartialState.REJECTED:
                raise DigestMismatch(str(self._request.digest), "the upstream sent wrong bytes")
            if progress.written > offset or progress.state is PartialState.WHOLE:
                return progress.written
            if progress.state is PartialState.ABANDONED or was_over:
                raise self._find_failure()
            await self._download.changed()

    def _find_failure(self) -> EntrepotError:
        failure = self._download.failure
        if failure is not None:
            return failure.copy()
        why = "another process has given the partial file up, and its log says why"
        return StoreError(str(self._request.digest), why)

    async def read_rest(
        self, sent: Span, stop: int | None, failure: EntrepotError
    ) -> AsyncGenerator[tuple[int, int, int] | bytes, None]:
        """Yield the bytes after `sent` up to `stop`, after `advance` has raised `failure`.

        They come from the store if the blob is stored by now, from whatever partial file; if the
        disk refused, they come from the upstream.

        Raises:
            EntrepotError: the `failure`, or as for `pass_through`.
        """
        with ExitStack() as opened:
            stored = await self._find_stored(sent, opened)
            if stored is not None:
                rest = stored.pieces(sent.stop, stored.size if stop is None else stop)
            elif isinstance(failure, StoreError):
                rest = self.pass_through(sent, stop)
            else:
                raise failure
            async with aclosing(rest) as pieces:
                async for piece in pieces:
                    yield piece

    async def _find_stored(self, sent: Span, opened: ExitStack) -> StoredBlob | None:
        """Open the blob in the store, if it is there and has the bytes that the client has."""
        if self._open_stored is None or self._reader is None:
            return None
        stored = await self._open_stored()
        if stored is None:
            return None
        opened.callback(stored.close)
        # Nobody has verified the bytes in `sent`.
        return stored if await stored.begins_as(self._reader, sent) else None

    async def pass_through(self, sent: Span, stop: int | None) -> AsyncGenerator[bytes, None]:
        """Yield the bytes after `sent` up to `stop` from the upstream, without storing them.

        This needs a connection of the budget of all downloads.

        Raises:
            TooManyDownloads: others have used all connections for too long.
            DigestMismatch, UpstreamError, BlobUnknown: as for `passthrough.pass_through`.
        """
        request = self._request
        self._metrics.passed_through.inc()
        get_logger("registry.mirror").error(
            "passed through, not stored",
            blob=str(request.digest),
            repository=str(request.repository),
            why=str(self._find_failure()),
        )
        # The size that the client was told: where it ends, the digest has to be right.
        note = self._metrics.downloaded_bytes.labels(request.repository.registry).inc
        turn = self._budget.open_turn(lambda: True, 1, request.repository.registry)
        try:
            if not await turn.begin_within(TURN_WAIT):
                raise TooManyDownloads
            with self._bandwidth.open(request.repository.registry, lambda: True) as pace:
                download = replace(request, size=self.size).open(pace)
                chunks = pass_through(download, request.digest, sent, stop, self._reader, note=note)
                async with aclosing(chunks):
                    async for chunk in chunks:
                        yield chunk
        finally:
            turn.end()

    def close(self) -> None:
        """Close the descriptor, and leave the download, which goes on."""
        self._download.leave()
        if self._reader is not None:
            self._reader.close()
