"""The journey of a blob: who may have it, is it here, and if not, the flight that brings it."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

import structlog

from registry.catalog.blob_access import BlobAccessCatalog
from registry.content.space import SpaceKeeper
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
from registry.mirror.passthrough import relay
from registry.oci.byte_ranges import Span
from registry.oci.digest import Digest
from registry.oci.manifest import MAX_MANIFEST, Descriptor
from registry.oci.names import Repository
from registry.store.contract import BlobStore, Body, FileBody
from registry.store.ingests import Ingests
from registry.store.partial import PartialReader, PartialState
from registry.upstream.contract import Source

Slice = tuple[int, int, int]  # bytes of an open file: its descriptor, from and to


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """A whole blob, open in the store. Close it after use."""

    body: Body
    origin: CacheStatus = CacheStatus.HIT

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
        """Give the body back."""
        self.body.close()


class ArrivingBlob:
    """A blob in flight; `size` is None where nobody told it. Close it after use."""

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
        """Return the descriptor that has the bytes which `advance` promised."""
        return -1 if self._reader is None else self._reader.fileno()

    async def advance(self, offset: int) -> int:
        """Wait until there are bytes at `offset`, and return how far they may be read.

        Returning `offset` itself means that the blob ends there.

        Raises:
            DigestMismatch: the bytes turned out wrong; what was read is not the whole blob.
            StoreError: the disk refused; `relay` goes on without it.
            UpstreamError: the flight gave up; the next request resumes it.
        """
        if self._reader is None:
            raise StoreError(str(self._request.digest), "the disk refused it")
        while True:
            was_over = self._download.is_over
            progress = self._reader.progress()
            if progress.state is PartialState.CONDEMNED:
                raise DigestMismatch(str(self._request.digest), "wrong bytes arrived")
            if progress.landed > offset or progress.state is PartialState.WHOLE:
                return progress.landed
            if progress.state is PartialState.ABANDONED or was_over:
                failure = self._download.failure
                raise (
                    failure.copy()
                    if failure is not None
                    else StoreError(str(self._request.digest), "the fill ended early")
                )
            await self._download.changed()

    async def relay(self, sent: Span, stop: int | None) -> AsyncGenerator[bytes, None]:
        """Yield what follows `sent` up to `stop` straight from upstream; see `relay.relay`."""
        request = self._request
        self._metrics.passed_through.inc()
        structlog.get_logger("registry.mirror").error(
            "passed through, not kept",
            blob=str(request.digest),
            repository=str(request.repository),
            why=str(self._download.failure or "the disk refused it in another process"),
        )
        transfer = request.source.open_blob(request.repository.name, request.digest, request.size)
        async for chunk in relay(transfer, request.digest, sent, stop, self._reader):
            yield chunk

    def close(self) -> None:
        """Give the descriptor back; the flight goes on."""
        if self._reader is not None:
            self._reader.close()


class Blobs:
    """Answers blobs."""

    def __init__(
        self,
        sources: Mapping[str, Source],
        connections: Mapping[str, int],
        *,
        catalog: BlobAccessCatalog,
        store: BlobStore,
        ingests: Ingests,
        downloads: Downloads,
        room: SpaceKeeper,
        inquiries: BlobChecks,
        metrics: Metrics,
    ) -> None:
        """`connections` is how many may fetch one large blob, by upstream."""
        self._sources = sources
        self._connections = connections
        self._catalog = catalog
        self._store = store
        self._ingests = ingests
        self._downloads = downloads
        self._room = room
        self._inquiries = inquiries
        self._metrics = metrics
        self._log = structlog.get_logger("registry.mirror")

    async def is_here(self, digest: Digest) -> bool:
        """Whether the bytes are stored, whoever may have them."""
        return await self._store.stat(digest) is not None

    def measure(self, digest: Digest) -> int:
        """Return how many bytes of an arriving blob have landed."""
        return self._ingests.measure(digest)

    async def read_small(self, blob: Descriptor) -> bytes:
        """Return the bytes of a document that is here, such as a config.

        Nothing where it is not here, is not as large as it is said to be, or over 4 MiB.
        """
        if blob.size > MAX_MANIFEST or await self._store.stat(blob.digest) != blob.size:
            return b""
        try:
            pieces = [piece async for piece in self._store.read(blob.digest, Span(0, blob.size))]
        except StoreError:
            return b""  # evicted meanwhile
        return b"".join(pieces)

    async def stat(self, repository: Repository, digest: Digest) -> int | None:
        """Return the size in bytes of a blob this repository has; None where nobody tells it.

        Nothing is fetched: a HEAD must never cost a transfer.

        Raises:
            BlobUnknown: the repository does not have it, as far as can be known.
            UpstreamError: the upstream does not say.
        """
        size = self._catalog.find_size(repository, digest)
        if size is not None:
            return size
        told = await self._inquiries.ask(repository, digest)
        size = await self._store.stat(digest) if told is None else told
        if size is not None:
            await self._grant(repository, digest, size)
        return size

    async def _grant(self, repository: Repository, digest: Digest, size: int) -> None:
        try:
            await self._catalog.grant(repository, digest, size)
        except StoreError as error:  # the upstream will be asked again: that is all
            self._log.error("grant not kept", blob=str(digest), why=str(error))

    async def get(self, repository: Repository, digest: Digest) -> StoredBlob | ArrivingBlob:
        """Return the blob, whole or arriving; arriving ones have their first bytes.

        Raises:
            BlobUnknown: the repository does not have it.
            UpstreamError: it is not here, and the upstream does not give it.
        """
        size = await self.stat(repository, digest)
        body = await self._store.open(digest)
        if body is not None and (size in (None, body.size) or not await self._doubt(digest, body)):
            return StoredBlob(body)
        request = self._request(repository, digest, size)
        try:
            download, origin = await self._join(request)
        except (UpstreamDenied, UpstreamOffline) as error:
            raise BlobUnknown(str(repository), str(digest)) from error
        if isinstance(download.failure, StoreError):
            return ArrivingBlob(request, download, None, CacheStatus.MISS, self._metrics)
        # In this order: between the two the part may become the stored blob, never the reverse.
        with ExitStack() as unused:
            reader = self._ingests.open(digest)
            if reader is not None:
                unused.enter_context(reader)
            body = await self._store.open(digest)
            if body is None:
                unused.pop_all()
                return ArrivingBlob(request, download, reader, origin, self._metrics)
            return StoredBlob(body, origin)

    async def fetch(self, repository: Repository, descriptor: Descriptor) -> bool:
        """Have a blob stored; false where it was already.

        Raises:
            Unknown, UpstreamError, DigestMismatch: the upstream does not give it.
            StoreError: the disk refused.
        """
        if await self._store.stat(descriptor.digest) is not None:
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

    async def _doubt(self, digest: Digest, body: Body) -> bool:
        """Whether a blob of another size than was expected is damaged; then it is closed."""
        is_damaged = True
        try:
            is_damaged = await self._room.doubt(digest, body.size)
        except StoreError as error:
            self._log.error("damaged blob not set aside", blob=str(digest), why=str(error))
        finally:
            if is_damaged:
                body.close()
        return is_damaged

    async def _join(self, request: DownloadRequest) -> tuple[Download, CacheStatus]:
        """Wait for the first bytes, or until the disk has refused them.

        What another repository was refused, or another upstream could not deliver, says nothing of
        ours: then a flight of our own follows.

        Raises:
            Unknown, UpstreamError, DigestMismatch: what the flight failed with.
        """
        while True:
            download, is_joined = self._downloads.join(request)
            try:
                await download.opened()
            except StoreError:
                return download, CacheStatus.MISS
            except (Unknown, UpstreamError):
                if is_joined and download.repository != request.repository:
                    continue
                raise
            is_ours = download.is_writer and not is_joined
            return download, CacheStatus.MISS if is_ours else CacheStatus.JOINED
