"""What was verified already, shared by processes: a small file for each blob."""

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import aiofiles.os

from registry.errors import StoreError
from registry.oci.digest import Digest
from registry.store.files import take_lock

POLL = 0.05  # seconds between two looks at a blob that somebody else is hashing
RIGHT, WRONG = b"right", b"wrong"


class VerifiedBlobs:
    """Whether blobs are what their names say; each is hashed once, however many want to know.

    The file of a blob is locked while somebody hashes it, and says afterwards how that ended. If
    who holds the lock dies, the kernel frees it, and the next one hashes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[Digest, bool] = {}

    def recall(self, digest: Digest) -> bool | None:
        """Return what this process knows already."""
        return self._known.get(digest)

    async def find(self, digest: Digest, read: Callable[[], Iterator[bytes]]) -> bool:
        """Return whether a blob is right; if nobody knows yet, `read` its bytes, in a thread.

        Raises:
            StoreError: it cannot be read, or it cannot be noted; nothing is known then.
        """
        try:
            found = await aiofiles.os.wrap(self._find)(digest, read)
            while found is None:
                await asyncio.sleep(POLL)
                found = await aiofiles.os.wrap(self._find)(digest, read)
        except OSError as error:
            raise StoreError(str(self._folder), error.strerror or str(error)) from error
        self._known[digest] = found
        return found

    def _find(self, digest: Digest, read: Callable[[], Iterator[bytes]]) -> bool | None:
        lock = take_lock(self._folder / f"{digest.algorithm}-{digest.encoded}")
        if lock is None:
            return None
        try:
            verdict = os.pread(lock, len(RIGHT), 0)
            if not verdict:
                hasher = digest.hasher()
                for piece in read():
                    hasher.update(piece)
                verdict = RIGHT if hasher.hexdigest() == digest.encoded else WRONG
                os.pwrite(lock, verdict, 0)
        finally:
            os.close(lock)
        return verdict == RIGHT
