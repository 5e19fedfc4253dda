"""How much of the file system is free, and how much of that is promised to blobs that are written.

Each reserved byte is counted once: as promised until it is on the disk, in a partial file or in the
store, and from then on the file system does not report it as free.
"""

import os
from pathlib import Path

from registry.catalog.usage import UsageCatalog
from registry.oci.digest import Digest
from registry.store.contract import BlobReader
from registry.store.ingests import Ingests


class FreeSpace:
    """Measures the file system of the data folder, of which `reserve` bytes are to stay free."""

    def __init__(
        self,
        catalog: UsageCatalog,
        store: BlobReader,
        ingests: Ingests,
        folder: Path,
        reserve: int,
    ) -> None:
        self._catalog = catalog
        self._store = store
        self._ingests = ingests
        self._folder = folder
        self._reserve = reserve

    def measure(self) -> int:
        """Return how many bytes of the file system are free for this user."""
        state = os.statvfs(self._folder)
        return state.f_bavail * state.f_frsize

    async def find_shortage(self, digest: Digest, size: int, limit: int) -> int:
        """Return how many bytes have to be freed for `size` bytes of a blob; 0 if none have to.

        All reservations together have at most `limit` bytes.
        """
        # Measured first: what is written from here on then counts as on the disk and as free, but
        # never as neither, which would refuse blobs that fit.
        free = self.measure() - self._reserve
        if free >= limit:
            return 0
        reserved = self._catalog.list_reservations() | {digest: size}
        if sum(reserved.values()) <= free:
            return 0
        # Measured only now, since this looks at the files of every reservation.
        return max(0, sum((await self._subtract_written(reserved)).values()) - free)

    async def list_promised(self) -> dict[Digest, int]:
        """Return how many bytes of each reserved blob are not on the disk yet."""
        return await self._subtract_written(self._catalog.list_reservations())

    async def _subtract_written(self, reserved: dict[Digest, int]) -> dict[Digest, int]:
        return {
            digest: max(0, size - await self._measure_written(digest))
            for digest, size in reserved.items()
        }

    async def _measure_written(self, digest: Digest) -> int:
        """Return how many bytes of a blob are on the disk.

        A blob that is in the store, and not recorded yet, still has its reservation.
        """
        partial = self._ingests.measure(digest)  # first, since a blob moves from here to the store
        return max(partial, await self._store.stat(digest) or 0)
