"""How full the store is, and what uses the space."""

from collections.abc import Collection
from dataclasses import dataclass

from registry.catalog.audits import AuditCatalog, Pass
from registry.catalog.image_graph import ImageGraphCatalog
from registry.catalog.usage import UsageCatalog, UsageTotals
from registry.content.audit import BACKGROUND, COMMAND
from registry.content.free_space import FreeSpace
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
        free_space: FreeSpace,
        storage: StorageSettings,
    ) -> None:
        self._usage = usage
        self._images = images
        self._audits = audits
        self._free_space = free_space
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
            free=self._free_space.measure(),
            images=len((await self._images.load()).images),
            audits={
                "command": self._audits.find(COMMAND),
                "background": self._audits.find(BACKGROUND),
            },
        )

    async def measure_space(self, without: Collection[Digest]) -> int:
        """Return how many bytes could be stored if all blobs without a pin were deleted.

        Blobs in `without` are kept too. Bytes that are reserved for them, and not written yet, are
        available; bytes that are reserved for other blobs are not.

        Raises:
            StoreError: the catalog refused.
        """
        evictable = await self._usage.list_coldest(without=without)
        deletable = sum(each.size for each in evictable)
        deletable += sum(size for _, size in self._usage.list_quarantined())
        promised = await self._free_space.list_promised()
        own = sum(promised.get(digest, 0) for digest in without)
        others = sum(promised.values()) - own
        within_limit = self._storage.limit - self._usage.used() + own
        free = self._free_space.measure() - self._storage.reserve - others
        return max(0, min(within_limit, free) + deletable)
