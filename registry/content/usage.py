"""How full the store is, and what uses the space."""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from registry.catalog.audits import AuditCatalog, Pass
from registry.catalog.image_graph import ImageGraphCatalog
from registry.catalog.usage import UsageCatalog, UsageTotals
from registry.content.audit import BACKGROUND, COMMAND
from registry.content.free_space import FreeSpace
from registry.content.served import ServedTotals, read_served
from registry.oci.digest import Digest
from registry.settings.model import StorageSettings
from registry.store.ingests import Ingests
from registry.store.run_folder import list_running


@dataclass(frozen=True, slots=True)
class RunningDownload:
    """A blob that is being downloaded or imported: how many of its bytes are here.

    `expected` is the size of the whole blob, or None if it is not known. `repository` is empty for
    an import. `endpoint` is empty until the first bytes are here. It was `started` at that time, in
    epoch seconds (0: not known). `clients` get it while it arrives.
    """

    digest: Digest
    repository: str
    arrived: int
    expected: int | None
    endpoint: str = ""
    started: float = 0.0
    clients: int = 0


_NOBODY: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class SpaceUse:
    """How many bytes are used (`use` says for what), how many are allowed, and how many are free.

    `used` are the bytes that count against `limit`. The file system has `free` bytes, of which
    `reserve` stay free. `running` are the downloads and imports that are running now, and
    `interrupted` the bytes of those that are not.
    """

    use: UsageTotals
    used: int
    limit: int
    reserve: int
    free: int
    running: list[RunningDownload]
    interrupted: int


@dataclass(frozen=True, slots=True)
class UsageReport(SpaceUse):
    """How full the store is, what is in it, and what was served of it.

    `images` is the number of names; of `empty_images` of them nothing is stored. `audits` has the
    last pass of the auditors `command` and `background`. `served` is None if no server is running;
    the first of the servers that are running has started at `since` (epoch seconds, else 0).
    """

    images: int
    empty_images: int
    audits: dict[str, Pass]
    served: ServedTotals | None
    since: float


class UsageMeter:
    """Measures how full the store is."""

    def __init__(
        self,
        usage: UsageCatalog,
        images: ImageGraphCatalog,
        audits: AuditCatalog,
        *,
        free_space: FreeSpace,
        ingests: Ingests,
        metrics: Path,
        storage: StorageSettings,
    ) -> None:
        """`metrics` is the folder that has a folder for each running server."""
        self._usage = usage
        self._images = images
        self._audits = audits
        self._free_space = free_space
        self._ingests = ingests
        self._metrics = metrics
        self._storage = storage

    async def take(self) -> UsageReport:
        """Return how full the store is now.

        Raises:
            StoreError: the catalog refused.
        """
        servers = list_running(self._metrics)
        graph = await self._images.load()
        found = self.look(await self.add_up())
        return UsageReport(
            use=found.use,
            used=found.used,
            limit=found.limit,
            reserve=found.reserve,
            free=found.free,
            running=found.running,
            interrupted=found.interrupted,
            images=len(graph.images),
            empty_images=sum(map(graph.is_empty, graph.images)),
            audits=self.list_audits(),
            served=read_served(servers) if servers else None,
            since=min(map(_find_start, servers), default=0.0),
        )

    def list_audits(self) -> dict[str, Pass]:
        """Return the last pass of each auditor.

        Raises:
            StoreError: the catalog refused.
        """
        return {
            "command": self._audits.find(COMMAND),
            "background": self._audits.find(BACKGROUND),
        }

    def count_used(self) -> int:
        """Return how many bytes count against the limit.

        Raises:
            StoreError: the catalog refused.
        """
        return self._usage.used()

    async def add_up(self) -> UsageTotals:
        """Return what the used bytes are used for; this may take a second.

        Raises:
            StoreError: the catalog refused.
        """
        return await self._usage.break_down()

    def look(self, use: UsageTotals) -> SpaceUse:
        """Return how full the store is at this moment; `use` is what `add_up` has returned.

        Raises:
            StoreError: the catalog refused.
        """
        interrupted = {*self._ingests.list_digests()} - {*self._ingests.list_running()}
        return SpaceUse(
            use=use,
            used=self._usage.used(),
            limit=self._storage.limit,
            reserve=self._storage.reserve,
            free=self._free_space.measure(),
            running=list_downloads(self._ingests),
            interrupted=sum(map(self._ingests.measure, interrupted)),
        )

    async def count_empty(self, without: Collection[Digest] = ()) -> tuple[int, int]:
        """Return of how many images nothing is stored, and the number of all images.

        The blobs in `without` count as deleted.

        Raises:
            StoreError: the catalog refused.
        """
        graph = await self._images.load()
        gone = {str(digest) for digest in without}
        return sum(graph.is_empty(image, gone) for image in graph.images), len(graph.images)

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


def list_downloads(ingests: Ingests, waiting: Mapping[str, int] = _NOBODY) -> list[RunningDownload]:
    """Return the blobs that any process is writing now.

    `waiting` says how many clients read each partial file, by its name.
    """
    running = []
    for part in ingests.list_running():
        info, digest = ingests.read_info(part), ingests.find_blob(part)
        arrived, clients = ingests.measure(part), waiting.get(str(part), 0)
        if info is None:
            running.append(RunningDownload(digest, "", arrived, None, clients=clients))
            continue
        of = digest, info.repository, arrived, info.size, info.endpoint, info.started
        running.append(RunningDownload(*of, clients))
    return running


def _find_start(server: Path) -> float:
    """Return when a server made the folder of its metrics; now if it has just ended."""
    try:
        return (server / "lock").stat().st_mtime
    except FileNotFoundError:
        return time.time()
