"""Answering pulls of blobs: the permission of the repository, stored blobs, and downloads."""

from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial

from registry.content.content import Content
from registry.content.pull_log import PullLog
from registry.errors import (
    BlobUnknown,
    StoreError,
    UpstreamDenied,
    UpstreamOffline,
)
from registry.metrics.process_metrics import Metrics
from registry.mirror.blob_bodies import DownloadingBlob, StoredBlob
from registry.mirror.blob_checks import BlobChecks
from registry.mirror.cache_status import CacheStatus
from registry.mirror.deliveries import Deliveries
from registry.mirror.download import Download
from registry.mirror.download_request import DownloadRequest
from registry.mirror.downloads import Downloads
from registry.mirror.kept_blobs import KeptBlob
from registry.oci.digest import Digest
from registry.oci.manifest import MAX_MANIFEST, Descriptor
from registry.oci.names import Repository
from registry.store.contract import Body
from registry.store.files import refuse
from registry.store.partial import PartialReader
from registry.upstream.contract import Source


class Blobs:
    """Answers requests for blobs."""

    def __init__(
        self,
        sources: Mapping[str, Source],
        connections: Mapping[str, int],
        *,
        content: Content,
        downloads: Downloads,
        checks: BlobChecks,
        deliveries: Deliveries,
        pulls: PullLog,
        metrics: Metrics,
        stored: CacheStatus = CacheStatus.HIT,
    ) -> None:
        """`connections` has, by upstream, how many connections may download one large blob."""
        self.stored = stored
        self._sources = sources
        self._connections = connections
        self._content = content
        self._downloads = downloads
        self._checks = checks
        self._deliveries = deliveries
        self._pulls = pulls
        self._metrics = metrics
        self._kept: set[KeptBlob] = set()

    async def is_here(self, repository: Repository, digest: Digest) -> bool:
        """Whether the blob is stored, and may be used for this repository without a proof."""
        is_stored = await self._content.blobs.stat(digest) is not None
        return is_stored and self._deliveries.allow(repository.registry, digest)

    def measure(self, digest: Digest) -> int:
        """Return how many bytes the partial files of a blob take on the disk."""
        return self._content.ingests.measure(digest)

    async def read_small(self, blob: Descriptor) -> bytes:
        """Return the bytes of a small stored blob, such as a config.

        Returns no bytes if the blob is not stored, has more than 4 MiB, or is damaged.
        """
        return await self._content.read_all(blob.digest, MAX_MANIFEST) or b""

    async def stat(
        self, repository: Repository, digest: Digest, client: str | None = None
    ) -> int | None:
        """Return the size in bytes of a blob of this repository; None if the size is not known.

        Nothing is downloaded: a HEAD request must not cause a download. `client` is the address of
        who asks; None stands for the mirror itself.

        Raises:
            BlobUnknown: the repository does not have the blob, or the mirror is offline, or the
                upstream does not let the mirror have it.
            UpstreamError: the upstream does not answer the question.
            TooManyUnknown: the client has asked for too much that does not exist.
        """
        size = await self._checks.find_size(repository, digest, client)
        if size is None and self._deliveries.allow(repository.registry, digest):
            size = await self._content.blobs.stat(digest)
            if size is not None:
                await self._checks.grant(repository, digest, size)
        return size

    async def get(
        self, repository: Repository, digest: Digest, client: str | None = None
    ) -> StoredBlob | DownloadingBlob:
        """Return a stored blob, or a blob that is being downloaded and whose first bytes are there.

        Raises:
            BlobUnknown: the repository does not have the blob.
            UpstreamError: the blob is not stored, or has to be proved, and the upstream does not
                answer.
            DigestMismatch: the upstream sends other bytes than those of the blob.
            TooManyUnknown: the client has asked for too much that does not exist.
            TooManyReaders: too many clients get the blob while it is downloaded.
        """
        size = await self.stat(repository, digest, client)
        self._pulls.note_blob(repository, digest)
        request = self._request(repository, digest, size)
        return await self._open(request, self.stored) or await self._join(request)

    async def reopen(self, repository: Repository, digest: Digest) -> StoredBlob | None:
        """Open a blob for a client if it is stored, and may be served without asking anybody.

        Its use is noted by its `note_use`. Where this returns None, `get` knows what to do.

        Raises:
            StoreError: the disk or the catalog refused.
        """
        size = await self._checks.find_known_size(repository, digest)
        if size is None or not self._deliveries.allow(repository.registry, digest):
            return None
        body = await self._content.blobs.open(digest)
        if body is None:
            return None
        if body.size != size:
            body.close()
            return None
        return StoredBlob(body, self.stored, partial(self._pulls.note_blob, repository, digest))

    def keep(self, repository: Repository, digest: Digest) -> KeptBlob:
        """Return what opens a blob for further requests, as `reopen` does."""
        open_blob = partial(self.reopen, repository, digest)
        return KeptBlob(open_blob, self._checks.read_version, self._kept)

    async def fetch(self, repository: Repository, descriptor: Descriptor) -> bool:
        """Download a blob into the store; return false if it was already stored.

        If only others have delivered it, the upstream proves that it has it.

        Raises:
            Unknown, UpstreamError, DigestMismatch: the upstream does not deliver the blob.
            StoreError: the disk refused.
        """
        is_stored = await self._content.blobs.stat(descriptor.digest) is not None
        if not is_stored:
            request = self._request(repository, descriptor.digest, descriptor.size)
            download, _ = self._downloads.join(request)
            try:
                await download.ended()
            finally:
                download.leave()
        await self._deliveries.confirm(repository, descriptor.digest)
        return not is_stored

    def _request(self, repository: Repository, digest: Digest, size: int | None) -> DownloadRequest:
        source = self._sources[repository.registry]
        return DownloadRequest(
            repository,
            digest,
            size,
            source,
            self._connections[repository.registry],
            needs_origin=self._deliveries.are_checked,
        )

    async def _open(
        self, request: DownloadRequest, origin: CacheStatus, *, may_prove: bool = True
    ) -> StoredBlob | DownloadingBlob | None:
        """Open a stored blob, after a proof if one is needed; None if the blob is not stored.

        Without `may_prove`, a blob that needs a proof counts as not stored.

        Raises:
            BlobUnknown, UpstreamError, DigestMismatch: the proof failed.
            StoreError: the disk or the catalog refused.
        """
        digest = request.digest
        body = await self._content.blobs.open(digest)
        if body is None:
            return None
        try:
            if request.size not in (None, body.size) and not await self._has_recorded_size(
                digest, body
            ):
                return None
        except StoreError as error:  # a damaged file is in the place of the blob
            refused = self._downloads.refuse(request, error)
            return self._follow(request, refused, None, CacheStatus.MISS)
        try:
            is_allowed = self._deliveries.allow(request.repository.registry, digest)
            if not (is_allowed or self._downloads.are_delivering(request)):
                if not may_prove:
                    body.close()
                    return None
                await self._deliveries.prove(request.repository, digest, body.size)
                origin = CacheStatus.MISS  # what others have is not told
        except BaseException:
            body.close()
            raise
        return StoredBlob(body, origin)

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

    async def _join(self, request: DownloadRequest) -> StoredBlob | DownloadingBlob:
        """Join or start the download, and wait for the first bytes or for a refusal of the disk.

        Raises:
            Unknown, UpstreamError, DigestMismatch: why the download failed.
            TooManyDownloads, DownloadCrashed: this mirror cannot download it now.
            TooManyReaders: too many clients read the download.
        """
        download, is_joined = self._downloads.join(request, is_for_client=True)
        with ExitStack() as unused:
            unused.callback(download.leave)
            reader: PartialReader | None = None
            try:
                await download.started()
            except (UpstreamDenied, UpstreamOffline) as error:
                raise BlobUnknown(str(request.repository), str(request.digest)) from error
            except StoreError:
                origin = CacheStatus.MISS
            else:
                is_ours = download.is_writer and not is_joined
                origin = CacheStatus.MISS if is_ours else CacheStatus.JOINED
                # The partial file is opened before the store: it may become a stored blob in
                # between.
                reader = download.open_reader()
                if reader is not None:
                    unused.callback(reader.close)
                # If others have stored it meanwhile, that proves nothing about these bytes.
                may_prove = reader is None or not download.has_bytes
                stored = await self._open(request, origin, may_prove=may_prove)
                if stored is not None:
                    return stored
            unused.pop_all()
            return self._follow(request, download, reader, origin)

    def count_readers(self) -> int:
        """Return how many clients of this process get a blob that is being downloaded."""
        return self._downloads.count_readers()

    def _follow(
        self,
        request: DownloadRequest,
        download: Download,
        reader: PartialReader | None,
        origin: CacheStatus,
    ) -> DownloadingBlob:
        return DownloadingBlob(
            request,
            download,
            reader,
            origin,
            metrics=self._metrics,
            budget=self._downloads.budget,
            bandwidth=self._downloads.bandwidth,
            open_stored=partial(self._open_allowed, request, origin),
        )

    async def _open_allowed(
        self, request: DownloadRequest, origin: CacheStatus
    ) -> StoredBlob | None:
        """Open the blob if it is stored by now, and this registry needs no proof to use it."""
        found = await self._open(request, origin, may_prove=False)
        if isinstance(found, DownloadingBlob):
            found.close()
            return None
        return found
