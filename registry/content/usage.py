"""How full the store is, and of what."""

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
    """Bytes by what takes them, all that count for the limit, the limit, and the free ones.

    `images` is how many names there are; `audits` are the last passes, by `command` and in the
    `background`.
    """

    use: UsageTotals
    used: int
    limit: int
    reserve: int
    free: int
    images: int
    audits: dict[str, Pass]


class UsageMeter:
    """Adds up what the store has."""

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
        """Add up what the store has now.

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
        """Return how many bytes could be stored if every blob went that no pin keeps.

        Blobs in `without` are kept too.

        Raises:
            StoreError: the catalog refused.
        """
        evictable = await self._usage.list_coldest(without=without)
        evictable_bytes = sum(each.size for each in evictable)
        free = measure_free(self._folder) - self._storage.reserve
        return max(0, min(self._storage.limit - self._usage.used(), free) + evictable_bytes)
