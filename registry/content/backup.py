"""A backup: a second data folder that has what the first had at one moment, every byte checked.

It is a data folder like any other: to restore it, copy it to where `storage.path` points. Backing
up into it again copies what is new and deletes what is gone; an interrupted one goes on.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from registry.catalog.database import Database
from registry.catalog.usage import UsageCatalog
from registry.content.pins import copy_pin_file
from registry.errors import DigestMismatch, StoreError
from registry.oci.byte_ranges import Span
from registry.oci.digest import Digest
from registry.store.blocking import in_thread
from registry.store.contract import BlobStore
from registry.store.data_folder import DataFolder, sync_folder
from registry.store.ingests import Ingests
from registry.store.partial import PartialWriter
from registry.store.tags import TagFiles

PAGE = 1000  # rows read at a time


@dataclass(frozen=True, slots=True)
class DataHandles:
    """The files of one data folder."""

    folder: DataFolder
    store: BlobStore
    ingests: Ingests
    references: TagFiles


@dataclass(slots=True)
class BackedUp:
    """How many blobs of how many bytes the backup has, and how many of them were copied now.

    `names` is how many tags and digests it has. `damaged` are blobs whose bytes have changed: they
    are left out, and an audit sets them aside.
    """

    blobs: int = 0
    size: int = 0
    copied: int = 0
    names: int = 0
    damaged: list[Digest] = field(default_factory=list)


class Backup:
    """Copies from one data folder, which may be in use, to another, which may not."""

    def __init__(self, database: Database, source: DataHandles) -> None:
        self._database = database
        self._source = source

    async def write(self, target: DataHandles, tell: Callable[[int], None]) -> BackedUp:
        """Make `target` a backup; the size in bytes of each blob is told when it is there.

        Raises:
            StoreError, OSError: a disk refused; what was copied is there for the next time.
        """
        snapshot = target.folder.catalog.with_name("catalog.db.new")
        _forget(snapshot)
        await self._database.copy(snapshot)
        result = BackedUp()
        async with Database(snapshot) as database:
            room = UsageCatalog(database)
            for digest, stored in _list_blobs(room):
                if await self._copy(digest, target, result):
                    tell(await target.store.stat(digest) or 0)
                else:
                    await room.drop(digest, stored)
            await room.clear_unfinished()
        await self._copy_names(target, result)
        await in_thread(copy_pin_file, self._source.folder.pins, target.folder.pins)
        # Only now: until here the former backup's catalog is the one that counts.
        await asyncio.to_thread(_replace, target.folder.catalog, snapshot)
        await self._prune(target)
        return result

    async def _copy_names(self, target: DataHandles, result: BackedUp) -> None:
        async for repository, reference, pointer in self._source.references.scan():
            result.names += 1
            if await target.references.read(repository, reference) != pointer:
                await target.references.write(repository, reference, pointer)

    async def _prune(self, target: DataHandles) -> None:
        """Delete what the former backup had and the source has no more."""
        async for repository, reference, _ in target.references.scan():
            if await self._source.references.read(repository, reference) is None:
                await target.references.remove(repository, reference)
        async with Database(target.folder.catalog) as database:
            room = UsageCatalog(database)
            async for digest, _ in target.store.scan():
                if room.find_size(digest) is None:
                    await target.store.delete(digest)

    async def _copy(self, digest: Digest, target: DataHandles, result: BackedUp) -> bool:
        """Whether the backup has the blob now; what is gone or rotten it has not."""
        size = await target.store.stat(digest)
        if size is None:
            writer = target.ingests.take(digest)
            if writer is None:
                raise StoreError(str(digest), "somebody else writes this backup")
            try:
                size = await self._write(digest, writer, target)
            except DigestMismatch:
                result.damaged.append(digest)
                return False
            finally:
                writer.close()
            if size is None:
                return False
            result.copied += 1
        result.blobs += 1
        result.size += size
        return True

    async def _write(
        self, digest: Digest, writer: PartialWriter, target: DataHandles
    ) -> int | None:
        size = await self._source.store.stat(digest)
        if size is None:
            writer.abandon()  # evicted since the snapshot
            return None
        if await in_thread(writer.resume) > size:
            await in_thread(writer.restart)
        try:
            async for piece in self._source.store.read(digest, Span(writer.landed, size)):
                await in_thread(writer.append, [piece])
        except StoreError:
            if await self._source.store.stat(digest) is not None:
                raise
            writer.abandon()  # evicted just now
            return None
        sealed = await in_thread(writer.seal)
        await target.store.adopt(sealed)
        return sealed.size


def _forget(catalog: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        catalog.with_name(f"{catalog.name}{suffix}").unlink(missing_ok=True)


def _replace(catalog: Path, snapshot: Path) -> None:
    # A log that was left beside the former one would be taken for the new one's.
    for suffix in ("-wal", "-shm"):
        catalog.with_name(f"{catalog.name}{suffix}").unlink(missing_ok=True)
    snapshot.replace(catalog)
    sync_folder(catalog.parent)


def _list_blobs(room: UsageCatalog) -> Iterator[tuple[Digest, float]]:
    position = ""
    while page := room.list_after(position, PAGE):
        yield from page
        position = str(page[-1][0])
