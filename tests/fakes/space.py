"""A disk that has room for everything, or for nothing."""

from registry.errors import StoreError
from registry.oci.digest import Digest
from registry.store.contract import BlobStore


class AmpleRoom:
    """Gives room to everybody, unless told otherwise; remembers what it was told."""

    def __init__(self, store: BlobStore | None = None) -> None:
        self._store = store
        self.recorded: list[int] = []
        self.settled: list[Digest] = []
        self.refuses_room = False
        self.refuses_records = False

    async def reserve(self, digest: Digest, size: int) -> None:
        if self.refuses_room:
            raise StoreError("data", f"no room for {size} bytes of {digest}")

    async def settle(self, digest: Digest) -> None:
        self.settled.append(digest)

    async def record(self, digest: Digest, size: int) -> None:
        if self.refuses_records:
            raise StoreError("catalog.db", f"full, no row for {digest}")
        self.recorded.append(size)

    async def doubt(self, _digest: Digest, _found: int) -> bool:
        return False

    async def quarantine(self, digest: Digest, _why: str) -> None:
        if self._store is not None:
            await self._store.quarantine(digest)

    async def finish_interrupted(self) -> None:
        """Nothing ever crashes here."""
