"""Whether stored bytes may be used for a registry, and how it proves that it has them.

Bytes are stored once for all registries. Those that only a registry with credentials has delivered
are used for another one after that one has proved that it has them too (decision record 0030).
"""

import asyncio
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import aclosing

from registry.catalog.deliveries import DeliveryCatalog
from registry.errors import (
    BlobUnknown,
    DigestMismatch,
    StoreError,
    Unknown,
    UpstreamDenied,
    UpstreamOffline,
    UpstreamUnreachable,
)
from registry.logs import get_logger
from registry.metrics.process_metrics import Metrics
from registry.oci.byte_ranges import Span
from registry.oci.digest import Digest
from registry.oci.names import Repository
from registry.store.contract import BlobReader
from registry.tasks import Tasks
from registry.upstream.contract import BlobDownload, Source

PART = 16 * 1024  # bytes of each of the two parts that an upstream has to send
BEGIN = 1024 * 1024  # bytes that it has to send instead if it has no ranges
PROOF_BUDGET = 25.0  # seconds for a proof, because a client waits for the headers


class Deliveries:
    """Knows who has delivered which bytes. Requests for the same blob share one proof.

    `are_checked` says whether any bytes may be private; otherwise the catalog is never asked.
    """

    def __init__(
        self,
        trusted: Mapping[str, frozenset[str]],
        catalog: DeliveryCatalog,
        sources: Mapping[str, Source],
        blobs: BlobReader,
        tasks: Tasks,
        *,
        clock: Callable[[], float],
        chance: random.Random,
        metrics: Metrics,
    ) -> None:
        """`trusted` says for each registry whose bytes it may use; empty: it may use all bytes.

        An upstream must not be able to guess the numbers that `chance` gives.
        """
        self.are_checked = bool(trusted)
        self._trusted = trusted
        self._catalog = catalog
        self._sources = sources
        self._blobs = blobs
        self._tasks = tasks
        self._clock = clock
        self._chance = chance
        self._metrics = metrics
        self._log = get_logger("registry.mirror")

    def allow(self, registry: str, digest: Digest) -> bool:
        """Whether bytes, if they are stored, may be used for `registry` without a proof.

        Raises:
            StoreError: the catalog refused.
        """
        if not self._trusted:
            return True
        return not self._trusted[registry].isdisjoint(self._catalog.list_registries(digest))

    async def confirm(self, repository: Repository, digest: Digest) -> None:
        """Let the upstream prove a blob, if it is stored and may not be used for it yet.

        Raises:
            BlobUnknown, UpstreamError, DigestMismatch, StoreError: as for `prove`.
        """
        if self._trusted and not self.allow(repository.registry, digest):
            size = await self._blobs.stat(digest)
            if size is not None:
                await self.prove(repository, digest, size)

    async def prove(self, repository: Repository, digest: Digest, size: int) -> None:
        """Compare parts of a stored blob of `size` bytes with those that the upstream sends.

        Raises:
            BlobUnknown: the repository does not have the blob, or the mirror is offline, or the
                upstream does not let the mirror have it.
            UpstreamError: the upstream does not answer.
            DigestMismatch: it sends other bytes.
            StoreError: the stored blob cannot be read.
        """
        key = ("proof", repository, digest)
        await asyncio.shield(self._tasks.share(key, lambda: self._prove(repository, digest, size)))

    async def _prove(self, repository: Repository, digest: Digest, size: int) -> None:
        registry = repository.registry
        try:
            download = self._sources[registry].open_blob(repository.name, digest, size)
            async with asyncio.timeout(PROOF_BUDGET):
                for span in self._choose_parts(size, download):
                    await self._compare(download, repository, digest, span)
        except (Unknown, UpstreamDenied, UpstreamOffline) as error:
            raise BlobUnknown(str(repository), str(digest)) from error
        except TimeoutError as error:
            why = f"sent too little within {PROOF_BUDGET:.0f} s"
            raise UpstreamUnreachable(registry, why) from error
        try:
            await self._catalog.record(digest, registry, self._clock())
        except StoreError as error:  # then it is proved again later
            self._log.error("delivery not recorded", blob=str(digest), why=str(error))
        else:
            self._log.info("stored blob proved", blob=str(digest), repository=str(repository))

    def _choose_parts(self, size: int, download: BlobDownload) -> Iterator[Span]:
        """Yield the whole of a small blob; else its begin, and a part that nobody can guess.

        Without ranges, all bytes before that part would come too: then the begin is longer.
        """
        if size <= 2 * PART:
            yield Span(0, size)
            return
        yield Span(0, PART)
        if download.has_ranges:
            start = self._chance.randrange(PART, size - PART + 1)
            yield Span(start, start + PART)
        else:
            yield Span(PART, min(size, BEGIN))

    async def _compare(
        self, download: BlobDownload, repository: Repository, digest: Digest, span: Span
    ) -> None:
        count = self._metrics.downloaded_bytes.labels(repository.registry).inc
        stored = b"".join([piece async for piece in self._blobs.read(digest, span)])
        sent = bytearray()
        async with aclosing(download.stream(span.start, span.stop)) as chunks:
            async for chunk in chunks:
                count(len(chunk))
                sent += chunk
        if sent != stored:
            download.mark_suspect()
            raise DigestMismatch(str(digest), "the upstream sent wrong bytes")
