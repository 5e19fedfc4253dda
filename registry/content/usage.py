"""How full the store is, and what uses the space."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from registry.catalog.audits import AuditCatalog, Pass
from registry.catalog.image_graph import ImageGraphCatalog
from registry.catalog.usage import UsageCatalog, UsageTotals
from registry.content.audit import BACKGROUND, COMMAND
from registry.content.space import measure_free
from registry.oci.digest import Digest
from registry.settings.model import StorageSettings


@dataclass(frozen=True, slots=True)
class UsageReport:
    """How many bytes are used (`use` says for what), how many are allowed, and how many are free.

    `used` are the bytes that count against `limit`. The file system has `free` bytes, of which
    `reserve` stay free. `images` is the number of names. `audits` has the last pass of the auditors
    `command` and `background`.
    """

    use: UsageTotals
    used: int
    limit: int
    reserve: int
    free: int
    images: int
    audits: dict[str, Pass]


class UsageMeter:
    """Measures how full the store is."""

    def __init__(
        self,
        usage: UsageCatalog,
        images: ImageGraphCatalog,
        audits: AuditCatalog,
        folder: Path,
        storage: StorageSettings,
    ) -> None:
        self._usage = usage
        self._images = images
        self._audits = audits
        self._folder = folder
        self._storage = storage

    async def take(self) -> UsageReport:
        """Return how full the store is now.

        Raises:
            StoreError: the catalog refused.
        """
        return UsageReport(
            use=await self._usage.break_down(),
            used=self._usage.used(),
            limit=self._storage.limit,
            reserve=self._storage.reserve,
            free=measure_free(self._folder),
            images=len((await self._images.load()).images),
            audits={
                "command": self._audits.find(COMMAND),
                "background": self._audits.find(BACKGROUND),
            },
        )

    async def measure_space(self, without: Collection[Digest]) -> int:
        """Return how many bytes could be stored if all blobs without a pin were evicted.

        Blobs in `without` are kept too.

        Raises:
            StoreError: the catalog refused.
        """
        evictable = await self._usage.list_coldest(without=without)
        evictable_bytes = sum(each.size for each in evictable)
        free = measure_free(self._folder) - self._storage.reserve
        return max(0, min(self._storage.limit - self._usage.used(), free) + evictable_bytes)
