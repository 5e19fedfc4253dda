"""Bytes on their way in: the only way in which a blob comes into the store (decision record 0019).

A download, a manifest, a bundle import and a backup are its callers. Each of them becomes the one
writer of a blob, appends bytes, and then commits the blob, suspends it or aborts it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Self

import structlog

from registry.content.account import SpaceAccount
from registry.errors import StoreError
from registry.oci.digest import Digest
from registry.store.contract import BlobStore
from registry.store.ingests import IngestInfo, Ingests
from registry.store.partial import PartialWriter, SealedPartial
from registry.store.sparse import SparsePartial
from registry.tasks import in_thread

STEP = 64 * 1024 * 1024  # bytes that are reserved at a time where the size is not known


@dataclass(frozen=True, slots=True)
class Stored:
    """A blob that is in the store now: verified, durable, and visible to every process."""

    digest: Digest
    size: int


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a blob goes: the partial file first, then the store; `space` keeps the account."""

    ingests: Ingests
    store: BlobStore
    space: SpaceAccount


class _Ingest:
    """What is the same in whatever order the bytes come: an ingest ends with a blob or without.

    It ends exactly once; leaving the `async with` suspends an ingest that has not ended.
    """

    def __init__(
        self, digest: Digest, writer: PartialWriter | SparsePartial, destination: Destination
    ) -> None:
        self.digest = digest
        self._destination = destination
        self._closing = writer
        self._reserved = 0
        self._is_over = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.suspend()

    async def suspend(self) -> None:
        """End without the blob; the next writer, in any process, goes on from these bytes."""
        if not self._is_over:
            await self._end(is_recorded=False)

    async def _reserve(self, size: int) -> None:
        if size > self._reserved:
            await self._destination.space.reserve(self.digest, size)
            self._reserved = size

    async def _publish(self, sealed: SealedPartial) -> Stored:
        """Move a verified file into the store, record it, and end.

        A catalog that refuses is logged, not raised: the blob is in its place, and the files are
        the truth. The background process records it later.

        Raises:
            StoreError: the disk refused; this ingest has not ended.
        """
        await self._destination.store.adopt(sealed)
        self._destination.ingests.delete_side_files(self.digest)
        is_recorded = False
        try:
            await self._destination.space.record(sealed.digest, sealed.size)
            is_recorded = True
        except StoreError as error:
            self._log("blob not recorded", error)
        finally:
            await self._end(is_recorded=is_recorded)
        return Stored(sealed.digest, sealed.size)

    async def _end(self, *, is_recorded: bool) -> None:
        """Release the lock, and then the reservation, unless the record has used that up."""
        self._is_over = True
        self._closing.close()
        if is_recorded:
            return
        try:
            await self._destination.space.release_reservation(self.digest)
        except StoreError as error:  # the background process releases it later
            self._log("reservation not released", error)

    def _log(self, event: str, error: StoreError) -> None:
        log = structlog.get_logger("registry.content")
        log.error(event, blob=str(self.digest), why=str(error))


class Ingest(_Ingest):
    """One blob on its way in, and the one writer of its partial file, among all processes.

    Readers in any process may follow the file (`Content.follow`); they never get the last byte
    before the digest has been checked.

    It ends with one of `commit`, `suspend` and `abort`.
    """

    def __init__(self, digest: Digest, writer: PartialWriter, destination: Destination) -> None:
        super().__init__(digest, writer, destination)
        self._writer = writer

    @property
    def offset(self) -> int:
        """The number of bytes received: where to go on from."""
        return self._writer.received

    @property
    def is_complete(self) -> bool:
        """Whether the bytes received are the whole blob: their digest is the blob's."""
        return self._writer.is_right

    async def resume(self, size: int | None) -> int:
        """Go on from the bytes that an earlier writer left, and return how many they are.

        Bytes that cannot be the beginning of a blob of `size` bytes are thrown away. So are all of
        them where the size is not known: there is no telling whether more bytes have to follow.

        Raises:
            StoreError: the disk refused.
        """
        writer = self._writer
        if writer.is_fresh:  # nothing to read; no thread, because clients wait
            return 0
        await in_thread(writer.resume)
        if not writer.is_right and not (
            writer.is_growing and size is not None and writer.landed < size
        ):
            await self.restart()
        return self.offset

    async def restart(self) -> None:
        """Throw away all bytes of an earlier writer; its readers are told so.

        Raises:
            StoreError: the disk refused.
        """
        await in_thread(self._writer.restart)

    async def append(self, chunks: Iterable[bytes], size: int | None = None) -> None:
        """Write non-empty chunks, after space for the blob of `size` bytes has been reserved.

        The chunks are taken and written in a thread. Where the size of the blob is not known,
        `STEP` bytes are reserved at a time, and a call may bring half of that.

        Raises:
            StoreError: there is too little space, or the disk refused.
        """
        await self._reserve_step(size)
        await in_thread(self._writer.append, chunks)

    async def append_first(self, chunk: bytes, size: int | None) -> None:
        """Append one chunk without a thread: it is small, and clients wait for it.

        Raises:
            StoreError: as `append`.
        """
        await self._reserve_step(size)
        self._writer.append((chunk,))

    async def _reserve_step(self, size: int | None) -> None:
        if size is not None:
            await self._reserve(size)
        elif self._reserved - self._writer.received < STEP // 2:
            await self._reserve(self._writer.received + STEP)

    def read_info(self) -> IngestInfo | None:
        """Return what an earlier writer told about its download; None when it told nothing."""
        return self._destination.ingests.read_info(self.digest)

    def write_info(self, info: IngestInfo) -> None:
        """Tell the other processes about this download; blocks for the disk.

        Raises:
            StoreError: the disk refused.
        """
        self._destination.ingests.write_info(self.digest, info)

    async def verify(self) -> int:
        """Check the digest, let readers have the last byte, and return the size in bytes.

        `commit` does this too, but readers then get the last byte only when it is durable.

        Raises:
            DigestMismatch: the bytes are wrong; readers are told so, and the bytes are deleted.
            StoreError: the disk refused.
        """
        await in_thread(self._writer.verify)
        return self._writer.landed

    async def commit(self, on_whole: Callable[[], None] | None = None) -> Stored:
        """Verify the blob, make it durable, and move it into the store; then this ingest has ended.

        `on_whole` is called as soon as readers can see that the blob has ended.

        Raises:
            DigestMismatch: as `verify`.
            StoreError: the disk refused; the ingest has not ended.
        """
        sealed = await in_thread(self._writer.seal)
        if on_whole is not None:
            on_whole()
        return await self._publish(sealed)

    async def suspend(self) -> None:
        """End without the blob; the next writer, in any process, goes on from these bytes."""
        if self._is_over:
            return
        try:
            if not self._writer.received:
                self._writer.abandon()
        finally:
            await super().suspend()

    async def abort(self) -> None:
        """End without the blob, and delete what has come; readers are told so."""
        if self._is_over:
            return
        try:
            self._writer.abandon()
        finally:
            await self._end(is_recorded=False)


class SparseIngest(_Ingest):
    """One blob whose parts come in any order; no reader follows it, and no download writes it."""

    def __init__(
        self, digest: Digest, writer: SparsePartial, destination: Destination, size: int
    ) -> None:
        super().__init__(digest, writer, destination)
        self._writer = writer
        self._size = size

    @property
    def missing(self) -> int:
        """How many bytes are missing."""
        return self._writer.missing

    async def add(self, start: int, check: Digest, pieces: Iterable[bytes]) -> int:
        """Write a part that begins at byte `start`; return how many of its bytes were missing.

        Raises:
            DigestMismatch: the digest of the part is not `check`; none of its bytes are kept.
            StoreError: there is too little space, or the disk refused.
        """
        await self._reserve(self._size)
        return await in_thread(self._writer.add, start, check, pieces)

    async def commit(self) -> Stored:
        """As `Ingest.commit`, when no byte is missing.

        Raises:
            DigestMismatch: the parts do not make this blob; all of them were deleted.
            StoreError: the disk refused; the ingest has not ended.
        """
        return await self._publish(await in_thread(self._writer.seal))
