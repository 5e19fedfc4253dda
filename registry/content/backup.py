"""A backup: a second data folder with the content of the first at one moment, every byte checked.

It is a data folder like any other: to restore it, copy it to where `storage.path` points. The next
backup into it copies what is new and deletes what is gone; an interrupted one is continued.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from registry.catalog.database import Database
from registry.catalog.usage import UsageCatalog
from registry.content.account import NoAccount
from registry.content.ingest import Destination, Ingest
from registry.content.pins import copy_pin_file
from registry.errors import DigestMismatch, StoreError
from registry.oci.byte_ranges import Span
from registry.oci.digest import Digest
from registry.store.contract import BlobReader, ManagedStore
from registry.store.data_folder import DataFolder
from registry.store.files import sync_folder
from registry.store.ingests import Ingests
from registry.store.tags import TagFiles
from registry.tasks import in_thread

PAGE = 1000  # rows read at a time


@dataclass(frozen=True, slots=True)
class DataHandles:
    """The parts of one data folder.

    `store` has its blobs. Pulls read from `blobs`: that is the same store, except where a bundle is
    served from its own files.
    """

    folder: DataFolder
    store: ManagedStore
    blobs: BlobReader
    ingests: Ingests
    tags: TagFiles


@dataclass(slots=True)
class BackedUp:
    """How many blobs of how many bytes the backup has, and how many of them were copied now.

    `names` is how many tags and digests it has. `damaged` are blobs whose bytes have changed: the
    backup does not have them, and an audit of the source moves them into quarantine.
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

    async def write(self, target: DataHandles, report: Callable[[int], None]) -> BackedUp:
        """Make `target` a backup; `report` is called with the size in bytes of each blob it has.

        Raises:
            StoreError, OSError: a disk refused; the next backup uses what has been copied.
        """
        snapshot = target.folder.catalog.with_name("catalog.db.new")
        _delete_catalog(snapshot)
        await self._database.copy(snapshot)
        result = BackedUp()
        async with Database(snapshot) as database:
            usage = UsageCatalog(database)
            for digest, stored in _list_blobs(usage):
                if (size := await self._copy(digest, target, result)) is not None:
                    report(size)
                else:
                    await usage.drop(digest, stored)
            await usage.clear_unfinished()
        await self._copy_names(target, result)
        await in_thread(copy_pin_file, self._source.folder.pins, target.folder.pins)
        # Last, since until here the folder is the former backup, with its catalog.
        await in_thread(_replace, target.folder.catalog, snapshot)
        await self._prune(target)
        return result

    async def _copy_names(self, target: DataHandles, result: BackedUp) -> None:
        async for repository, reference, pointer in self._source.tags.scan():
            result.names += 1
            if await target.tags.read(repository, reference) != pointer:
                await target.tags.write(repository, reference, pointer)

    async def _prune(self, target: DataHandles) -> None:
        """Delete what the former backup had and the source does not have any more."""
        async for repository, reference, _ in target.tags.scan():
            if await self._source.tags.read(repository, reference) is None:
                await target.tags.remove(repository, reference)
        async with Database(target.folder.catalog) as database:
            usage = UsageCatalog(database)
            async for digest, _ in target.store.scan():
                if usage.find_size(digest) is None:
                    await target.store.delete(digest)

    async def _copy(self, digest: Digest, target: DataHandles, result: BackedUp) -> int | None:
        """Have a blob in the backup, and return its size; None if it is gone or damaged."""
        size = await target.store.stat(digest)
        if size is None:
            size = await self._copy_bytes(digest, target, result)
            result.copied += size is not None
        if size is not None:
            result.blobs += 1
            result.size += size
        return size

    async def _copy_bytes(
        self, digest: Digest, target: DataHandles, result: BackedUp
    ) -> int | None:
        size = await self._source.store.stat(digest)
        if size is None:
            return None  # evicted since the snapshot
        writer = target.ingests.take(digest)
        if writer is None:
            raise StoreError(str(digest), "another process writes this backup")
        destination = Destination(target.ingests, target.store, NoAccount())
        async with Ingest(digest, writer, destination) as ingest:
            offset = await ingest.resume(size)
            try:
                async for piece in self._source.store.read(digest, Span(offset, size)):
                    await ingest.append((piece,), size)
                return (await ingest.commit()).size
            except DigestMismatch:
                result.damaged.append(digest)
            except StoreError:
                if await self._source.store.stat(digest) is not None:
                    raise
                await ingest.abort()  # evicted just now
        return None


def _delete_catalog(catalog: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        catalog.with_name(f"{catalog.name}{suffix}").unlink(missing_ok=True)


def _replace(catalog: Path, snapshot: Path) -> None:
    # SQLite would take the log of the former catalog for that of the new one.
    for suffix in ("-wal", "-shm"):
        catalog.with_name(f"{catalog.name}{suffix}").unlink(missing_ok=True)
    snapshot.replace(catalog)
    sync_folder(catalog.parent)


def _list_blobs(usage: UsageCatalog) -> Iterator[tuple[Digest, float]]:
    position = ""
    while page := usage.list_after(position, PAGE):
        yield from page
        position = str(page[-1][0])
