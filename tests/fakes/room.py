"""A disk that has room for everything, or for nothing."""

from registry.errors import StoreError
from registry.oci.digest import Digest


class AmpleRoom:
    """Gives room to everybody, unless told otherwise; remembers what it was told."""

    def __init__(self) -> None:
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
