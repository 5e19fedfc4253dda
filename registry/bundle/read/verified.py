"""Which blobs of a bundle were verified: processes share the results in small files."""

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from registry.oci.digest import Digest
from registry.store.files import take_lock, translate_errors
from registry.tasks import in_thread

POLL = 0.05  # seconds between two looks at a blob that another process is hashing
RIGHT, WRONG = b"right", b"wrong"


class VerifiedBlobs:
    """Results of verification by digest; each blob is hashed only once, by one of the processes.

    A process locks the file of a blob while it hashes the blob, and then writes the result to the
    file. If the process dies, the kernel frees the lock, and the next process hashes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[Digest, bool] = {}

    def recall(self, digest: Digest) -> bool | None:
        """Return whether a blob agrees with its digest; None if this process does not know."""
        return self._known.get(digest)

    async def find(self, digest: Digest, read: Callable[[], Iterator[bytes]]) -> bool:
        """Return whether a blob agrees with its digest; hash its bytes from `read` if necessary.

        Raises:
            StoreError: the blob cannot be read, or the result cannot be written.
        """
        with translate_errors(self._folder):
            found = await in_thread(self._find, digest, read)
            while found is None:
                await asyncio.sleep(POLL)
                found = await in_thread(self._find, digest, read)
        self._known[digest] = found
        return found

    def _find(self, digest: Digest, read: Callable[[], Iterator[bytes]]) -> bool | None:
        lock = take_lock(self._folder / f"{digest.algorithm}-{digest.encoded}")
        if lock is None:
            return None
        try:
            result = os.pread(lock, len(RIGHT), 0)
            if not result:
                hasher = digest.hasher()
                for piece in read():
                    hasher.update(piece)
                result = RIGHT if hasher.hexdigest() == digest.encoded else WRONG
                os.pwrite(lock, result, 0)
        finally:
            os.close(lock)
        return result == RIGHT
