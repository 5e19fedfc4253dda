"""How full the store is, and of what."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from registry.catalog.audits import AuditCatalog, Pass
from registry.catalog.image_graph import ImageGraphCatalog
from registry.catalog.usage import UsageCatalog, UsageTotals
from registry.content.space import measure_free
from registry.oci.digest import Digest
from registry.settings.model import StorageSettings


@dataclass(frozen=True, slots=True)
class UsageReport:
    """Bytes by what has them, all that count for the limit, allowed, and free.

    `images` is how many names there are; `audits` are the last passes by auditor.
    """

    use: UsageTotals
    used: int
    limit: int
    reserve: int
    free: int
    images: int
    audits: dict[str, Pass]


class UsageMeter:
    """Takes stock."""

    def __init__(
        self,
        room: UsageCatalog,
        images: ImageGraphCatalog,
        audits: AuditCatalog,
        folder: Path,
        storage: StorageSettings,
    ) -> None:
        self._room = room
        self._images = images
        self._audits = audits
        self._folder = folder
        self._storage = storage

    async def take(self) -> UsageReport:
        """Add up everything.

        Raises:
            StoreError: the catalog refused.
        """
        return UsageReport(
            use=await self._room.break_down(),
            used=self._room.used(),
            limit=self._storage.limit,
            reserve=self._storage.reserve,
            free=measure_free(self._folder),
            images=len((await self._images.load()).images),
            audits={name: self._audits.find(name) for name in ("command", "steward")},
        )

    async def measure_room(self, without: Collection[Digest]) -> int:
        """Return how many bytes could be stored, if all goes that nothing keeps.

        Blobs in `without` are kept too.

        Raises:
            StoreError: the catalog refused.
        """
        cold = await self._room.list_coldest(without=without)
        evictable = sum(each.size for each in cold)
        free = measure_free(self._folder) - self._storage.reserve
        return max(0, min(self._storage.limit - self._room.used(), free) + evictable)
