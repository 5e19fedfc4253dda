"""A backup: another data folder with the content of a data folder at one moment.

Every byte is checked. To restore a backup, copy it to the folder that `storage.path` names. The
next backup into the same folder copies new content and deletes content that the source does not
have any more. An interrupted backup can be continued.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from registry.catalog.database import Database
from registry.catalog.usage import UsageCatalog
from registry.content.account import NoAccount
from registry.content.destination import Destination
from registry.content.ingest import Ingest
from registry.content.pins import copy_list_file
from registry.errors import DigestMismatch, StoreError
from registry.oci.byte_ranges import Span
from registry.oci.digest import Digest
from registry.oci.names import Tag
from registry.store.contract import BlobReader, ManagedStore
from registry.store.data_folder import DataFolder
from registry.store.files import sync_folder, translate_errors, write_durably
from registry.store.ingests import Ingests
from registry.store.tag_history import TagHistory
from registry.store.tags import TagFiles
from registry.tasks import in_thread

PAGE = 1000  # rows read at a time


@dataclass(frozen=True, slots=True)
class DataHandles:
    """The parts of one data folder.

    `store` has the blobs of the folder. Pulls read from `blobs`. It is the same store; for
    `entrepot bundle serve`, it is the store over the files of the bundle.
    """

    folder: DataFolder
    store: ManagedStore
    blobs: BlobReader
    ingests: Ingests
    tags: TagFiles


@dataclass(slots=True)
class BackedUp:
    """How many blobs and bytes the backup has, and how many blobs were copied this time.

    `names` is the number of tags and digests in the backup, of which `tags` are tags. `damaged` are
    blobs whose bytes have changed on disk: they are not in the backup. An audit of the source moves
    them into quarantine.
    """

    blobs: int = 0
    size: int = 0
    copied: int = 0
    names: int = 0
    tags: int = 0
    damaged: list[Digest] = field(default_factory=list)


class Backup:
    """Copies a data folder to another one; the first may be in use, the second may not."""

    def __init__(self, database: Database, source: DataHandles) -> None:
        self._database = database
        self._source = source

    async def write(self, target: DataHandles, report: Callable[[int], None]) -> BackedUp:
        """Make `target` a backup; call `report` with the size in bytes of each blob.

        Raises:
            StoreError, OSError: a disk refused; the next backup keeps the blobs that were copied.
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
        await in_thread(copy_list_file, self._source.folder.pins, target.folder.pins)
        await in_thread(copy_list_file, self._source.folder.imports, target.folder.imports)
        await in_thread(_copy_accounts, self._source.folder.accounts, target.folder.accounts)
        # The catalog is copied last: until here the folder is the earlier backup.
        await in_thread(_replace, target.folder.catalog, snapshot)
        await self._prune(target)
        return result

    async def _copy_names(self, target: DataHandles, result: BackedUp) -> None:
        async for repository, reference, pointer in self._source.tags.scan():
            result.names += 1
            result.tags += isinstance(reference, Tag)
            if await target.tags.read(repository, reference) != pointer:
                await target.tags.write(repository, reference, pointer)
        async for repository, tag in self._source.tags.scan_histories():
            history = await self._source.tags.read_history(repository, tag)
            if await target.tags.read_history(repository, tag) != history:
                await target.tags.write_history(repository, tag, history)

    async def _prune(self, target: DataHandles) -> None:
        """Delete content of the earlier backup that the source does not have any more."""
        async for repository, reference, _ in target.tags.scan():
            if await self._source.tags.read(repository, reference) is None:
                await target.tags.remove(repository, reference)
        async for repository, tag in target.tags.scan_histories():
            if await self._source.tags.read_history(repository, tag) == TagHistory():
                await target.tags.write_history(repository, tag, TagHistory())
        async with Database(target.folder.catalog) as database:
            usage = UsageCatalog(database)
            async for digest, _ in target.store.scan():
                if usage.find_size(digest) is None:
                    await target.store.delete(digest)

    async def _copy(self, digest: Digest, target: DataHandles, result: BackedUp) -> int | None:
        """Copy a blob if the backup does not have it; return its size, or None if it failed."""
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
            return None  # evicted after the snapshot
        try:
            return await self._try_to_copy(digest, size, target)
        except DigestMismatch:
            result.damaged.append(digest)
            return None

    async def _try_to_copy(self, digest: Digest, size: int, target: DataHandles) -> int | None:
        """Copy a blob of `size` bytes; return its size, or None if it was just evicted.

        Raises:
            DigestMismatch: the bytes of the source are wrong.
            StoreError: a disk refused, or another process writes this backup.
        """
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
                if not offset:
                    raise
            except StoreError:
                if await self._source.store.stat(digest) is not None:
                    raise
                await ingest.abort()  # evicted just now
                return None
        # The bytes that an earlier backup had left may be the wrong ones. They are deleted by now.
        return await self._try_to_copy(digest, size, target)


def _copy_accounts(source: Path, target: Path) -> None:
    """Copy users and tokens, or delete what an earlier backup has of them, if there are none now.

    Raises:
        StoreError: the disk refused.
    """
    with translate_errors(target):
        try:
            content = source.read_bytes()
        except FileNotFoundError:
            target.unlink(missing_ok=True)
        else:
            write_durably(target, content, is_secret=True)


def _delete_catalog(catalog: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        catalog.with_name(f"{catalog.name}{suffix}").unlink(missing_ok=True)


def _replace(catalog: Path, snapshot: Path) -> None:
    # Otherwise SQLite would use the log of the old catalog for the new catalog.
    for suffix in ("-wal", "-shm"):
        catalog.with_name(f"{catalog.name}{suffix}").unlink(missing_ok=True)
    snapshot.replace(catalog)
    sync_folder(catalog.parent)


def _list_blobs(usage: UsageCatalog) -> Iterator[tuple[Digest, float]]:
    position = ""
    while page := usage.list_after(position, PAGE):
        yield from page
        position = str(page[-1][0])
