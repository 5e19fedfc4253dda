"""Blobs as files: `blobs/<algorithm>/<2 hex>/<hex>`, read-only, never rewritten."""

import fcntl
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import aiofiles

from registry.errors import DigestInvalid, StoreError
from registry.oci.byte_ranges import Span
from registry.oci.digest import Digest
from registry.store.contract import FileBody
from registry.store.files import leads_to, make_folder, refuse, sync_folder, translate_errors
from registry.store.partial import SealedPartial
from registry.tasks import in_thread

_PIECE = 1024 * 1024  # bytes per read


class DiskStore:
    """A `ManagedStore` in a folder on the same file system as the partial files."""

    def __init__(self, folder: Path, quarantine: Path) -> None:
        self._folder = folder
        self._quarantine = quarantine

    async def stat(self, digest: Digest) -> int | None:
        """Return the size in bytes, or None. No thread: inodes are nearly always in memory."""
        try:
            return os.stat(self._format(digest)).st_size  # noqa: PTH116 (pathlib takes longer)
        except FileNotFoundError:
            return None

    async def read(self, digest: Digest, span: Span) -> AsyncIterator[bytes]:
        """Yield the bytes of `span` in pieces of at most 1 MiB.

        Raises:
            StoreError: the blob is not in the store, is shorter than the span, or cannot be read.
        """
        path = self._path(digest)
        left = span.length
        with translate_errors(path):
            async with aiofiles.open(path, "rb") as file:
                await file.seek(span.start)
                while left:
                    piece = await file.read(min(left, _PIECE))
                    if not piece:
                        raise StoreError(str(path), f"ends {left} bytes early")
                    left -= len(piece)
                    yield piece

    async def adopt(self, part: SealedPartial) -> None:
        """Give a verified partial file its final name, and make the name durable."""
        await in_thread(self._adopt, part)

    def _adopt(self, part: SealedPartial) -> None:
        path = self._path(part.digest)
        with translate_errors(path):
            make_folder(path.parent)
            part.path.replace(path)
            sync_folder(path.parent)

    async def delete(self, digest: Digest) -> bool:
        """Unlink a blob; False if it was not in the store."""
        try:
            await in_thread(self._path(digest).unlink)
        except FileNotFoundError:
            return False
        return True

    async def quarantine(self, digest: Digest) -> None:
        """Move a blob into quarantine."""
        await in_thread(self._move_aside, digest)

    def _move_aside(self, digest: Digest) -> None:
        self._quarantine.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            self._path(digest).replace(self._quarantined(digest))

    async def is_quarantined(self, digest: Digest) -> bool:
        """Whether a blob is in quarantine. No thread, for the same reason as in `stat`."""
        return self._quarantined(digest).exists()

    async def delete_quarantined(self, digest: Digest) -> None:
        """Delete a blob that is in quarantine."""
        await in_thread(self._quarantined(digest).unlink, missing_ok=True)

    async def scan_quarantined(self) -> AsyncIterator[tuple[Digest, int]]:
        """Yield digest and size of every blob in quarantine; unknown files are left out."""
        for each in await in_thread(self._list_quarantined):
            yield each

    def _list_quarantined(self) -> list[tuple[Digest, int]]:
        found = []
        for path in self._quarantine.glob("*-*"):
            with suppress(DigestInvalid, FileNotFoundError):
                found.append((Digest.parse(path.name.replace("-", ":", 1)), path.stat().st_size))
        return found

    async def scan(self, after: str = "") -> AsyncIterator[tuple[Digest, int]]:
        """Yield digest and size of every blob; files with other names are left out."""
        for shard in await in_thread(self._list_shards):
            if f"{shard.parent.name}:{shard.name}~" < after:
                continue
            for digest, size in await in_thread(self._list, shard):
                if str(digest) > after:
                    yield digest, size

    def _list_shards(self) -> list[Path]:
        return sorted(path for path in self._folder.glob("*/??") if path.is_dir())

    def _list(self, shard: Path) -> list[tuple[Digest, int]]:
        found = []
        with os.scandir(shard) as entries:
            for entry in entries:
                try:
                    digest = Digest.parse(f"{shard.parent.name}:{entry.name}")
                    if entry.name.startswith(shard.name):
                        found.append((digest, entry.stat().st_size))
                except (DigestInvalid, FileNotFoundError):
                    continue
        return sorted(found, key=lambda each: each[0].encoded)

    async def open(self, digest: Digest) -> FileBody | None:
        """Return the open file of a blob, or None. No thread, for the same reason as in `stat`."""
        # Without pathlib and `translate_errors`, because every request for a blob runs this.
        path = self._format(digest)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise refuse(path, error) from error
        try:
            # Another process may hold the lock: the writer that has just sealed the file, or an
            # eviction that deletes it. An open file can still be read to its end.
            with suppress(BlockingIOError):
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return FileBody(descriptor, os.fstat(descriptor).st_size)
        except OSError as error:
            os.close(descriptor)
            raise refuse(path, error) from error

    @contextmanager
    def claim(self, digest: Digest) -> Iterator[bool]:
        """Yield whether the blob is in the store, and no process holds a lock on its file."""
        try:
            descriptor = os.open(self._path(digest), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            yield False  # not in the store; a download may be running
            return
        try:
            yield _lock_alone(descriptor) and leads_to(self._path(digest), descriptor)
        finally:
            os.close(descriptor)

    def _quarantined(self, digest: Digest) -> Path:
        return self._quarantine / f"{digest.algorithm}-{digest.encoded}"

    def _path(self, digest: Digest) -> Path:
        return Path(self._format(digest))

    def _format(self, digest: Digest) -> str:
        return f"{self._folder}/{digest.algorithm}/{digest.encoded[:2]}/{digest.encoded}"


def _lock_alone(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
