"""An account of the space on a disk that accepts all reservations, or none."""

from registry.errors import StoreError
from registry.oci.digest import Digest
from registry.store.contract import Quarantine


class AmpleSpace:
    """Accepts every reservation, unless a test makes it refuse; it records its calls."""

    def __init__(self, store: Quarantine | None = None) -> None:
        self._store = store
        self.recorded: list[int] = []
        self.released: list[Digest] = []
        self.refuses_space = False
        self.refuses_records = False

    async def check(self, digest: Digest, size: int) -> None:
        await self.reserve(digest, size)

    async def reserve(self, digest: Digest, size: int) -> None:
        if self.refuses_space:
            raise StoreError("data", f"no space for {size} bytes of {digest}")

    async def reserve_free(self, _digest: Digest, _size: int) -> bool:
        return not self.refuses_space

    async def release_reservation(self, digest: Digest) -> None:
        self.released.append(digest)

    async def record(
        self, digest: Digest, size: int, part: Digest | None = None, *, registry: str = ""
    ) -> None:
        if self.refuses_records:
            raise StoreError("catalog.db", f"full, no row for {digest}")
        self.recorded.append(size)

    async def check_size(self, _digest: Digest, _found: int) -> bool:
        return True

    async def quarantine(self, digest: Digest, _why: str) -> None:
        if self._store is not None:
            await self._store.quarantine(digest)
