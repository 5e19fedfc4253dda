"""Ingests: every blob is written into the store by an ingest (decision record 0019).

Downloads, manifests, bundle imports and backups use ingests. The caller becomes the only writer of
a blob, appends bytes, and then commits, suspends or aborts the ingest.
"""

import asyncio
import math
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TypeVar

from registry.content.destination import Stored
from registry.content.open_ingest import OpenIngest
from registry.errors import StoreError
from registry.oci.byte_ranges import Span
from registry.store.ingests import IngestInfo
from registry.store.partial import PartialWriter
from registry.store.rejected import RejectedBytes
from registry.store.signs_of_life import INTERVAL, WRITER_SILENCE
from registry.tasks import in_thread

STEP = 64 * 1024 * 1024  # bytes that are reserved at a time, as the bytes of a download land
RESUME_STEP = 64 * 1024 * 1024  # bytes that are hashed before others may use the thread
T = TypeVar("T")


class Ingest(OpenIngest[PartialWriter]):
    """The ingest of one blob: the only writer of its partial file among all processes.

    Readers in any process may follow the file (`Ingests.open`); they get the last byte only after
    the digest was checked.
    """

    _expected: int | None = None
    _writing_since: float | None = None
    _written = -math.inf
    _seen = 0

    @property
    def offset(self) -> int:
        """The number of bytes received, which is the offset of the next byte."""
        return self._writer.received

    @property
    def is_complete(self) -> bool:
        """Whether the bytes received are the whole blob, because they have its digest."""
        return self._writer.is_right

    async def resume(self, size: int | None) -> int:
        """Keep the bytes that an earlier writer has written, and return their number.

        The bytes are deleted if they cannot be the beginning of a blob of `size` bytes, or if
        nobody knows the size and they are not the whole blob.

        Raises:
            StoreError: the disk refused.
        """
        writer = self._writer
        if writer.is_fresh:  # nothing to hash; no thread, because clients wait
            return 0
        async with self._destination.resuming:
            while await in_thread(writer.resume, RESUME_STEP):
                pass
        is_begun = writer.is_growing and size is not None and writer.written < size
        if not writer.is_right and not is_begun:
            await self.restart()
        return self.offset

    async def restart(self) -> None:
        """Delete all bytes of an earlier writer; its readers see that their file was abandoned.

        Raises:
            StoreError: the disk refused.
        """
        await in_thread(self._writer.restart)

    async def begin_again(self) -> RejectedBytes:
        """Let readers see that the bytes are wrong, go on in an empty file, and return the bytes.

        Raises:
            StoreError: as for `append`; there has to be space for two files.
        """
        await self._reserve(2 * self.offset)
        begun: list[RejectedBytes] = []
        try:
            await in_thread(lambda: begun.append(self._writer.begin_again()))
        except asyncio.CancelledError:  # nobody else can close their files
            for rejected in begun:
                rejected.close()
            raise
        return begun[0]

    def differs(self, rejected: RejectedBytes, span: Span) -> bool:
        """Whether rejected bytes are others than those that were received now; this blocks."""
        return rejected.differs_from(self._writer.read, span)

    async def expect(self, size: int | None) -> None:
        """Note the size of the blob, as its upstream states it (None: it does not).

        Nothing is reserved for it, since it may be wrong: everything else would be evicted for it.

        Raises:
            StoreFull: so many bytes do not fit, whatever is evicted.
        """
        self._expected = size
        if size is not None and size > STEP:
            await self._destination.space.check(self._part, size)

    async def prepare(self, size: int | None) -> None:
        """Reserve space for the first bytes of a blob of `size` bytes, before they come.

        Nothing is evicted for them, as they may never come. If the space is not free, or `size` is
        None, this does nothing.
        """
        first = min(size or 0, self._writer.received + STEP)
        with suppress(StoreError):  # raised again when the bytes come
            if first and await self._destination.space.reserve_free(self._part, first):
                self._reserved = first

    async def append(self, chunks: Iterable[bytes], size: int | None = None) -> None:
        """Reserve space for the blob of `size` bytes, and write non-empty chunks.

        A thread takes and writes the chunks. Without `size`, space is reserved as the bytes land,
        `STEP` bytes or more at a time. One call may then append at most half of `STEP`.

        Raises:
            StoreError: there is too little space, or the disk refused.
        """
        await self._reserve_step(size)
        await self._write(self._writer.append, chunks)

    async def receive(self, receive: Callable[[Callable[[memoryview], None]], None]) -> None:
        """Let a thread receive bytes and write them; `receive` passes each piece to its argument.

        One call may receive at most half of `STEP`. The memory of a piece may be used again when
        the next piece was written, and not before: it may still be hashed.

        Raises:
            StoreError: as for `append`.
        """
        await self._reserve_step(None)
        await self._write(self._writer.receive, receive)

    async def _write(self, work: Callable[[T], None], argument: T) -> None:
        self._writing_since = time.monotonic()
        try:
            await in_thread(work, argument)
        finally:
            self._writing_since, self._written = None, time.monotonic()

    async def show_life(self) -> bool:
        """Do as `OpenIngest.show_life`, where the disk may not take the bytes.

        A disk that does not answer is no life: returns false if it has not taken bytes for
        `WRITER_SILENCE` seconds.
        """
        now = time.monotonic()
        if self._writing_since is not None:
            if self._writer.written != self._seen:  # one call of `append` may write a whole blob
                self._seen, self._writing_since = self._writer.written, now
            return now - self._writing_since < WRITER_SILENCE
        if now - self._written >= INTERVAL:
            await in_thread(self._writer.touch)
        return True

    async def append_first(self, chunk: bytes, size: int | None = None) -> None:
        """Append one small chunk without a thread, because clients wait for it.

        Raises:
            StoreError: as for `append`.
        """
        await self._reserve_step(size)
        self._writer.append((chunk,))

    async def _reserve_step(self, size: int | None) -> None:
        if size is not None:
            await self._reserve(size)
            return
        most = self._expected
        if self._reserved == most:
            return
        received = self._writer.received
        if self._reserved - received < STEP // 2:
            wanted = received + max(STEP, received)
            await self._reserve(wanted if most is None else min(wanted, most))

    def read_info(self) -> IngestInfo | None:
        """Return the information that an earlier writer has written; None if there is none."""
        return self._destination.ingests.read_info(self._part)

    def write_info(self, info: IngestInfo) -> None:
        """Write information about this download, and block; raises as `Ingests.write_info`."""
        self._destination.ingests.write_info(self._part, info)

    async def verify(self) -> int:
        """Check the digest, write the last byte for readers, and return the size in bytes.

        `commit` also does this, but readers then have the last byte after the file is synced.

        Raises:
            DigestMismatch: the bytes are wrong; the file was deleted, and readers can see why.
            StoreError: the disk refused.
        """
        await in_thread(self._writer.verify)
        return self._writer.written

    async def commit(
        self, on_whole: Callable[[], None] | None = None, *, registry: str = ""
    ) -> Stored:
        """Verify the blob, make it durable, move it into the store, and end the ingest.

        `on_whole` is called when readers can see it. `registry` is as for `SpaceAccount.record`.

        Raises:
            DigestMismatch: as for `verify`.
            StoreError: the disk refused; the ingest has not ended.
        """
        sealed = await in_thread(self._writer.seal)
        if on_whole is not None:
            on_whole()
        return await self._publish(sealed, registry)

    async def suspend(self) -> None:
        """Do as `OpenIngest.suspend`; a partial file without bytes is deleted."""
        if self._is_over:
            return
        try:
            # Not `received`: it does not count the bytes of an earlier writer before `resume`.
            if self._writer.is_fresh:
                self._abandon()
        finally:
            await super().suspend()

    def _abandon(self) -> None:
        super()._abandon()
        info = self.read_info()
        if info is not None and not info.suspects:  # the next writer asks suspects last
            self._destination.ingests.delete_info(self._part)
