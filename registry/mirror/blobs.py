"""Answering pulls of blobs: the permission of the repository, stored blobs, and downloads."""

from collections.abc import Mapping
from contextlib import ExitStack

import structlog

from registry.catalog.blob_access import BlobAccessCatalog
from registry.content.content import Content
from registry.content.pull_log import PullLog
from registry.errors import (
    BlobUnknown,
    StoreError,
    UpstreamDenied,
    UpstreamOffline,
)
from registry.metrics import Metrics
from registry.mirror.blob_bodies import DownloadingBlob, StoredBlob
from registry.mirror.blob_checks import BlobChecks
from registry.mirror.cache_status import CacheStatus
from registry.mirror.download import Download
from registry.mirror.download_request import DownloadRequest
from registry.mirror.downloads import Downloads
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
        size = await self._catalog.find_size(repository, digest)
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
            return self._follow(request, refused, None, CacheStatus.MISS)
        return await self._join(request)

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
        try:
            await download.ended()
        finally:
            download.leave()
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

    async def _join(self, request: DownloadRequest) -> StoredBlob | DownloadingBlob:
        """Join or start the download, and wait for the first bytes or for a refusal of the disk.

        Raises:
            Unknown, UpstreamError, DigestMismatch: why the download failed.
            TooManyDownloads, DownloadCrashed: this mirror cannot download it now.
        """
        download, is_joined = self._downloads.join(request)
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
                    unused.enter_context(reader)
                body = await self._content.blobs.open(request.digest)
                if body is not None:
                    return StoredBlob(body, origin)
            unused.pop_all()
            return self._follow(request, download, reader, origin)

    def _follow(
        self,
        request: DownloadRequest,
        download: Download,
        reader: PartialReader | None,
        origin: CacheStatus,
    ) -> DownloadingBlob:
        shared = self._downloads.budget
        return DownloadingBlob(
            request, download, reader, origin, metrics=self._metrics, budget=shared
        )
