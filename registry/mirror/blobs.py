"""Answering pulls of blobs: the permission of the repository, stored blobs, and downloads."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

import structlog

from registry.catalog.blob_access import BlobAccessCatalog
from registry.content.content import Content
from registry.content.pull_log import PullLog
from registry.errors import (
    BlobUnknown,
    DigestMismatch,
    StoreError,
    Unknown,
    UpstreamDenied,
    UpstreamError,
    UpstreamOffline,
)
from registry.metrics import Metrics
from registry.mirror.blob_checks import BlobChecks
from registry.mirror.cache_status import CacheStatus
from registry.mirror.downloads import Download, DownloadRequest, Downloads
from registry.mirror.passthrough import pass_through
from registry.oci.byte_ranges import Span
from registry.oci.digest import Digest
from registry.oci.manifest import MAX_MANIFEST, Descriptor
from registry.oci.names import Repository
from registry.store.contract import Body, FileBody
from registry.store.files import refuse
from registry.store.partial import PartialReader, PartialState
from registry.upstream.contract import Source


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """A whole blob, open in the store; close it after use."""

    body: Body
    origin: CacheStatus

    @property
    def size(self) -> int:
        """The size in bytes."""
        return self.body.size

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
        metrics: Metrics,
    ) -> None:
        self.size = download.size if download.size is not None else request.size
        self.origin = origin
        self._request = request
        self._download = download
        self._reader = reader
        self._metrics = metrics

    def fileno(self) -> int:
        """Return the descriptor of the partial file, to read bytes that `advance` returned."""
        return -1 if self._reader is None else self._reader.fileno()

    async def advance(self, offset: int) -> int:
        """Wait until there are bytes at `offset`, and return the offset where they end.

        If the result is `offset` itself, the blob ends there.

        Raises:
            DigestMismatch: the bytes of the download are wrong.
            StoreError: the disk refused; `pass_through` yields the rest.
            UpstreamError: the download failed; the next request continues it.
        """
        if self._reader is None:
            raise StoreError(str(self._request.digest), "the disk refused it")
        while True:
            was_over = self._download.is_over
            progress = self._reader.progress()
            if progress.state is PartialState.REJECTED:
                raise DigestMismatch(str(self._request.digest), "the upstream sent wrong bytes")
            if progress.written > offset or progress.state is PartialState.WHOLE:
                return progress.written
            if progress.state is PartialState.ABANDONED or was_over:
                failure = self._download.failure
                raise (
                    failure.copy()
                    if failure is not None
                    else StoreError(str(self._request.digest), "the download ended early")
                )
            await self._download.changed()

    async def pass_through(self, sent: Span, stop: int | None) -> AsyncGenerator[bytes, None]:
        """Yield the bytes after `sent` up to `stop` from the upstream, without storing them.

        Raises:
            DigestMismatch, UpstreamError, BlobUnknown: as for `passthrough.pass_through`.
        """
        request = self._request
        self._metrics.passed_through.inc()
        structlog.get_logger("registry.mirror").error(
            "passed through, not stored",
            blob=str(request.digest),
            repository=str(request.repository),
            why=str(self._download.failure or "the disk refused it in another process"),
        )
        download = request.source.open_blob(request.repository.name, request.digest, request.size)
        note = self._metrics.downloaded_bytes.inc
        chunks = pass_through(download, request.digest, sent, stop, self._reader, note=note)
        async for chunk in chunks:
            yield chunk

    def close(self) -> None:
        """Close the descriptor; the download goes on."""
        if self._reader is not None:
            self._reader.close()


class Blobs:
    """Answers requests for blobs."""

    def __init__(
        self,
        sources: Mapping[str, Source],
        connections: Mapping[str, int],
        *,
        catalog: BlobAccessCatalog,
        content: Content,
        downloads: Downloads,
        checks: BlobChecks,
        pulls: PullLog,
        metrics: Metrics,
        stored: CacheStatus = CacheStatus.HIT,
    ) -> None:
        """`connections` has, by upstream, how many connections may download one large blob."""
        self.stored = stored
        self._sources = sources
        self._connections = connections
        self._catalog = catalog
        self._content = content
        self._downloads = downloads
        self._checks = checks
        self._pulls = pulls
        self._metrics = metrics
        self._log = structlog.get_logger("registry.mirror")

    async def is_here(self, digest: Digest) -> bool:
        """Whether the blob is stored, for any repository."""
        return await self._content.blobs.stat(digest) is not None

    def measure(self, digest: Digest) -> int:
        """Return how many bytes the partial files of a blob take on the disk."""
        return self._content.measure_partial(digest)

    async def read_small(self, blob: Descriptor) -> bytes:
        """Return the bytes of a small stored blob, such as a config.

        Returns no bytes if the blob is not stored, has more than 4 MiB, or is damaged.
        """
        return await self._content.read_all(blob.digest, MAX_MANIFEST) or b""

    async def stat(self, repository: Repository, digest: Digest) -> int | None:
        """Return the size in bytes of a blob of this repository; None if the size is not known.

        Nothing is downloaded: a HEAD request must not cause a download.

        Raises:
            BlobUnknown: the repository does not have the blob, or the mirror is offline, or the
                upstream does not let the mirror have it.
            UpstreamError: the upstream does not answer the question.
        """
        size = self._catalog.find_size(repository, digest)
        if size is not None:
            return size
        size = await self._checks.ask(repository, digest)
        size = await self._content.blobs.stat(digest) if size is None else size
        if size is not None:
            await self._grant(repository, digest, size)
        return size

    async def _grant(self, repository: Repository, digest: Digest, size: int) -> None:
        try:
            await self._catalog.grant(repository, digest, size)
        except StoreError as error:  # then the upstream is asked again later
            self._log.error("permission not recorded", blob=str(digest), why=str(error))

    async def get(self, repository: Repository, digest: Digest) -> StoredBlob | DownloadingBlob:
        """Return a stored blob, or a blob that is being downloaded and whose first bytes are there.

        Raises:
            BlobUnknown: the repository does not have the blob.
            UpstreamError: the blob is not stored, and the upstream does not deliver it.
        """
        size = await self.stat(repository, digest)
        self._pulls.note_blob(repository, digest)
        request = self._request(repository, digest, size)
        body = await self._content.blobs.open(digest)
        try:
            if body is not None and (
                size in (None, body.size) or await self._has_recorded_size(digest, body)
            ):
                return StoredBlob(body, self.stored)
        except StoreError as error:  # a damaged file is in the place of the blob
            refused = self._downloads.refuse(request, error)
            return DownloadingBlob(request, refused, None, CacheStatus.MISS, self._metrics)
        try:
            download, origin = await self._join(request)
        except (UpstreamDenied, UpstreamOffline) as error:
            raise BlobUnknown(str(repository), str(digest)) from error
        if isinstance(download.failure, StoreError):
            return DownloadingBlob(request, download, None, CacheStatus.MISS, self._metrics)
        # The partial file is opened before the store: it may become a stored blob in between.
        with ExitStack() as unused:
            reader = self._content.follow(digest)
            if reader is not None:
                unused.enter_context(reader)
            body = await self._content.blobs.open(digest)
            if body is None:
                unused.pop_all()
                return DownloadingBlob(request, download, reader, origin, self._metrics)
            return StoredBlob(body, origin)

    async def fetch(self, repository: Repository, descriptor: Descriptor) -> bool:
        """Download a blob into the store; return false if it was already stored.

        Raises:
            Unknown, UpstreamError, DigestMismatch: the upstream does not deliver the blob.
            StoreError: the disk refused.
        """
        if await self._content.blobs.stat(descriptor.digest) is not None:
            return False
        request = self._request(repository, descriptor.digest, descriptor.size)
        download, _ = self._downloads.join(request)
        await download.ended()
        return True

    def _request(self, repository: Repository, digest: Digest, size: int | None) -> DownloadRequest:
        source = self._sources[repository.registry]
        return DownloadRequest(
            repository, digest, size, source, self._connections[repository.registry]
        )

    async def _has_recorded_size(self, digest: Digest, body: Body) -> bool:
        """Return whether a blob has its recorded size; if not, quarantine the blob and close it.

        Raises:
            StoreError: it has another size, and could not be quarantined.
        """
        is_right = False
        try:
            is_right = await self._content.check_size(digest, body.size)
        except OSError as error:
            raise refuse(str(digest), error) from error
        finally:
            if not is_right:
                body.close()
        return is_right

    async def _join(self, request: DownloadRequest) -> tuple[Download, CacheStatus]:
        """Join or start the download, and wait for the first bytes or for a refusal of the disk.

        If a download for another repository fails, the upstream may still deliver the blob for this
        repository: then another download is started.

        Raises:
            Unknown, UpstreamError, DigestMismatch: why the download failed.
        """
        while True:
            download, is_joined = self._downloads.join(request)
            try:
                await download.started()
            except StoreError:
                return download, CacheStatus.MISS
            except (Unknown, UpstreamError):
                if is_joined and download.repository != request.repository:
                    continue
                raise
            is_ours = download.is_writer and not is_joined
            return download, CacheStatus.MISS if is_ours else CacheStatus.JOINED
