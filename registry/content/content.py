"""The content of a data folder: stored blobs, partial files, and ingests."""

import asyncio
import math
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from registry.content.account import ContentAccount
from registry.content.destination import Destination
from registry.content.ingest import Ingest
from registry.content.sparse_ingest import SparseIngest
from registry.errors import MediumUnreadable, StoreError
from registry.oci.byte_ranges import Span
from registry.oci.digest import Digest
from registry.store.contract import BlobReader, BlobStore
from registry.store.ingests import Ingests, name_beside

T = TypeVar("T")
AnyIngest = TypeVar("AnyIngest", Ingest, SparseIngest)
POLL = 0.02  # seconds between two checks whether another process has ended its ingest


class Content:
    """Content by digest, for pulls, bundle imports and manifests.

    The stored blobs are read from `blobs`. It is the store of the data folder; for
    `entrepot bundle serve`, it is the store over the files of the bundle. `ingests` has the partial
    files, for those that follow or measure them.
    """

    def __init__(
        self, blobs: BlobReader, store: BlobStore, ingests: Ingests, space: ContentAccount
    ) -> None:
        self.blobs = blobs
        self.ingests = ingests
        self._space = space
        self._destination = Destination(ingests, store, space)

    def try_ingest(self, digest: Digest, part: Digest | None = None) -> Ingest | None:
        """Become the writer of a blob; None while another ingest, in any process, writes the blob.

        `part` is the name of the partial file, if it is not the digest (`name_beside`). The caller
        has to check again whether the blob is stored: another process may have stored it before
        this call. After this call, only an ingest with another partial file can store it.

        Raises:
            OSError: the disk refuses files.
        """
        writer = self.ingests.take(digest, part)
        return None if writer is None else Ingest(digest, writer, self._destination, part)

    async def wait_for_ingest(
        self, digest: Digest, within: float = math.inf, owner: str = ""
    ) -> Ingest | None:
        """Wait for another writer, and become the writer of a blob; None if the blob is stored.

        With `owner`, this does not wait for a download, which takes as long as its upstream likes:
        it writes a partial file beside that of the other writer (`name_beside`). Then it waits only
        for a writer of the same `owner`.

        Raises:
            StoreError: another process has been the writer for `within` seconds.
            OSError: the disk refuses files.
        """

        def attempt() -> Ingest | None:
            ingest = self.try_ingest(digest)
            if ingest is None and owner:
                ingest = self.try_ingest(digest, name_beside(digest, owner))
            return ingest

        return await self._unless_stored(await self._wait(attempt, digest, within))

    async def wait_for_parts(
        self, digest: Digest, size: int, within: float = math.inf
    ) -> SparseIngest | None:
        """Become the writer of a blob of `size` bytes whose parts come in any order.

        Waits for another writer. Returns None if the blob is stored.

        Raises:
            StoreError: another process has been the writer for `within` seconds, or the disk
                refuses files.
            OSError: the disk refuses files.
        """
        writer = await self._wait(lambda: self.ingests.open_sparse(digest, size), digest, within)
        return await self._unless_stored(SparseIngest(digest, writer, self._destination, size))

    async def _wait(self, attempt: Callable[[], T | None], digest: Digest, within: float) -> T:
        deadline = time.monotonic() + within
        while (found := attempt()) is None:
            if time.monotonic() >= deadline:
                raise StoreError(str(digest), self._explain_wait(digest, within))
            await asyncio.sleep(POLL)
        return found

    def _explain_wait(self, digest: Digest, within: float) -> str:
        info = self.ingests.read_info(digest)
        if info is not None and info.repository:
            writer, cure = (
                f"a download from {info.repository}",
                "wait for its end, or restart the server",
            )
        else:
            writer, cure = "another process", "wait for its end"
        return (
            f"{writer} has been writing it for more than {within:g} seconds; {cure}, and try again"
        )

    async def _unless_stored(self, ingest: AnyIngest) -> AnyIngest | None:
        """Return the ingest; if the blob was stored meanwhile, end the ingest and return None."""
        try:
            if await self.blobs.stat(ingest.digest) is None:
                return ingest
        except BaseException:
            await ingest.suspend()
            raise
        await ingest.abort()  # nobody needs bytes of it that an earlier writer has left
        return None

    async def read_all(self, digest: Digest, limit: int) -> bytes | None:
        """Return all bytes of a stored blob of at most `limit` bytes, after checking the digest.

        None if the blob is not stored, is larger, or is damaged; a damaged blob is moved to
        quarantine.

        Raises:
            MediumUnreadable: it is in a bundle that cannot be read; nothing is known to be damaged.
        """
        size = await self.blobs.stat(digest)
        if size is None or size > limit:
            return None
        try:
            raw = b"".join([piece async for piece in self.blobs.read(digest, Span(0, size))])
        except MediumUnreadable:
            raise
        except StoreError as error:
            if await self.blobs.stat(digest) is None:  # evicted after its size was read
                return None
            why = str(error)
        else:
            if digest.matches(raw):
                return raw
            why = "its bytes have changed on disk"
        with suppress(OSError, StoreError):  # the next read finds it again
            await self._space.quarantine(digest, why)
        return None

    async def check_size(self, digest: Digest, found: int) -> bool:
        """Return whether a stored blob of `found` bytes has its recorded size, or quarantine it.

        Raises:
            StoreError, OSError: the catalog or the disk refused.
        """
        return await self._space.check_size(digest, found)

    async def mark_used(self, digest: Digest) -> None:
        """Mark a stored blob as used now, so that it is not evicted soon.

        Raises:
            StoreError, OSError: the catalog or the disk refused.
        """
        await self._space.release_reservation(digest)
