"""Mirrors in memory: processes on one data folder, and the readers at their doors."""

import asyncio
import contextvars
import os
from collections.abc import Coroutine
from contextlib import closing
from typing import Any

from registry.catalog.database import Database
from registry.errors import EntrepotError, StoreError
from registry.mirror.blob_bodies import DownloadingBlob, StoredBlob
from registry.mirror.blobs import Blobs
from registry.oci.byte_ranges import Span
from registry.oci.digest import Digest
from registry.oci.names import Repository
from registry.store.contract import FileBody
from registry.store.data_folder import DataFolder
from registry.tasks import Tasks
from registry.wiring.content import open_handles
from tests.fakes.source import MemorySource, Tap
from tests.fakes.space import AmpleSpace
from tests.harness.process_parts import ProcessParts
from tests.property.faulty_disk import RUNNING, FaultyDisk, Victim

REPOSITORY = Repository("docker.io", "library/thing")


class Reader:
    """A client that asks for `start` to `stop` of the blob and keeps what it gets.

    A lazy one takes `turns` looks at what has arrived, each of at most `most` bytes.
    """

    def __init__(self, start: int, stop: int, most: int | None) -> None:
        self.start, self.stop = start, stop
        self.got = bytearray()
        self.error: EntrepotError | None = None
        self.is_done = False
        self.task: asyncio.Task[None] | None = None
        self._most = most
        self._turns = asyncio.Semaphore(0)

    def let_read(self) -> None:
        """Let a lazy reader take one more look."""
        self._turns.release()

    async def pull(self, blobs: Blobs, digest: Digest) -> None:
        """Read to the end; `error` is what broke the connection."""
        try:
            with closing(await blobs.get(REPOSITORY, digest)) as blob:
                if isinstance(blob, StoredBlob):
                    assert isinstance(blob.body, FileBody)
                    whole = b"".join(
                        os.pread(descriptor, stop - start, start)
                        for descriptor, start, stop in blob.body.slices(0, blob.size)
                    )
                    self.got += whole[self.start : self.stop]
                else:
                    await self._follow(blob)
            self.is_done = True
        except EntrepotError as error:
            self.error = error

    async def _follow(self, blob: DownloadingBlob) -> None:
        # As registry/api/blobs.py does: without a size there is no range.
        if blob.size is None:
            self.start = 0
        stop = None if blob.size is None else self.stop
        offset = self.start
        try:
            while stop is None or offset < stop:
                if self._most is not None:
                    await self._turns.acquire()
                written = await blob.advance(offset)
                if written == offset:
                    return
                upto = min(
                    written, written if stop is None else stop, offset + (self._most or written)
                )
                self.got += os.pread(blob.fileno(), upto - offset, offset)
                offset = upto
        except StoreError:
            async for chunk in blob.pass_through(Span(self.start, offset), stop):
                self.got += chunk


class Process:
    """One worker of the mirror on a disk that may fail."""

    def __init__(
        self,
        folder: DataFolder,
        database: Database,
        source: MemorySource,
        disk: FaultyDisk,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.tap: Tap = source.tap
        self.victim: Victim = disk.add()
        self.readers: list[Reader] = []
        self._loop = loop
        self._tasks = Tasks()
        parts = ProcessParts(
            open_handles(folder),
            database,
            space=AmpleSpace(),
            tasks=self._tasks,
            sources={REPOSITORY.registry: source},
            connections=3,
        )
        parts.ask_no_other()
        self.blobs, self.downloads = parts.blobs, parts.downloads
        self._context = contextvars.copy_context()
        self._context.run(RUNNING.set, self.victim)

    def spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Start a task as this process."""
        return self._loop.create_task(work, context=self._context)

    def join(self, reader: Reader, digest: Digest) -> None:
        """Let a reader connect."""
        self.readers.append(reader)
        reader.task = self.spawn(reader.pull(self.blobs, digest))

    def leave(self, reader: Reader) -> None:
        """Let a reader hang up."""
        self.readers.remove(reader)
        if reader.task is not None:
            reader.task.cancel()

    def die(self) -> None:
        """Stop as by `kill -9`: no clean-up. A writer is left as it stands, waiting for ever."""
        for reader in self.readers:
            if reader.task is not None:
                reader.task.cancel()
        if not any(download.is_writer for download in self.downloads._running.values()):
            for task in self._tasks._running:
                task.cancel()  # a follower, which has nothing that it could clean up

    async def close(self) -> None:
        """Clean up for the next example, dead or alive."""
        for future in self.victim.hung:
            future.cancel()
        for reader in self.readers:
            if reader.task is not None:
                reader.task.cancel()
                await asyncio.gather(reader.task, return_exceptions=True)
        await self._tasks.__aexit__()
