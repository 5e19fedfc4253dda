"""The parts of one process of a mirror, as `registry/wiring` makes them, without a server.

When a constructor in `registry/` changes, no other test file has to follow.
"""

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal

from registry.catalog.database import Database
from registry.content.account import SpaceAccount
from registry.content.backup import DataHandles
from registry.content.tag_delay import TagDelays
from registry.metrics.process_metrics import Metrics
from registry.mirror.bandwidth import Bandwidth
from registry.mirror.blobs import Blobs
from registry.mirror.deliveries import Deliveries
from registry.mirror.downloads import Downloads
from registry.mirror.manifest_cache import ManifestCache
from registry.mirror.manifest_memory import ManifestMemory
from registry.mirror.manifests import Manifests
from registry.mirror.outages import Outages
from registry.mirror.question_limit import QuestionLimit
from registry.mirror.tag_decisions import TagDecisions
from registry.mirror.tags_and_referrers import TagsAndReferrers
from registry.mirror.upstream_waits import UpstreamWaits
from registry.settings.model import LimitSettings, Settings, StorageSettings, TagSettings
from registry.settings.rates import RateSchedule
from registry.settings.upstreams import UpstreamSettings
from registry.store.data_folder import DataFolder
from registry.store.demand_files import DemandFiles
from registry.tasks import Tasks
from registry.upstream.client import open_client
from registry.upstream.contract import Source
from registry.upstream.pacing import Pacer
from registry.upstream.registry import RegistrySource
from registry.wiring.content import open_handles
from registry.wiring.pull_services import PullServices
from registry.wiring.sources import build_endpoints, build_source

AMPLE = StorageSettings(reserve=0, keep_pulled=0)
LIMITS = LimitSettings()


class SoleBandwidth(Bandwidth):
    """The bandwidth of a process that never asks what others want."""

    @contextmanager
    def open(self, upstream: str, is_urgent: Callable[[], bool]) -> Iterator[Pacer]:
        with self._links[upstream].open(is_urgent) as pacer:
            yield pacer


def build_sole_bandwidth(folder: DataFolder, upstreams: Collection[str]) -> SoleBandwidth:
    """Return it without limits for these upstreams."""
    rates = {name: RateSchedule() for name in upstreams}
    files = DemandFiles(folder.locks)
    return SoleBandwidth(files, Tasks(), rates, lambda: 0.0, is_warming=False)


class ProcessParts:
    """One process on a data folder; each of its parts is built when it is first used.

    `now` is its time, unless it has another `clock`. The parts that read no catalog need no
    `database`, and those that start no download need no `tasks`. `sources` are upstreams by
    registry; each has `connections` and the settings of `table`, and those in `private` have a user
    name. `space` replaces the
    account of the space on the disk, and `questions` the limit of each address.
    """

    def __init__(
        self,
        handles: DataHandles,
        database: Database | None = None,
        *,
        storage: StorageSettings = AMPLE,
        limits: LimitSettings = LIMITS,
        space: SpaceAccount | None = None,
        clock: Callable[[], float] | None = None,
        tasks: Tasks | None = None,
        sources: Mapping[str, Source] | None = None,
        connections: int = 1,
        missing_for: float = 0.0,
        questions: QuestionLimit | None = None,
        private: Collection[str] = (),
        table: Mapping[str, Any] = MappingProxyType({}),
        offline: bool = False,
    ) -> None:
        self.now = 1000.0
        self.clock = clock or (lambda: self.now)
        self.handles, self.folder = handles, handles.folder
        self.store, self.ingests = handles.store, handles.ingests
        self.database = database or Database(self.folder.catalog)
        self.metrics = Metrics()
        upstreams = _list_upstreams(sources or ["docker.io"], private, connections, table)
        tags = TagSettings(missing_for=missing_for)
        settings = Settings(
            offline=offline, storage=storage, limits=limits, tags=tags, upstreams=upstreams
        )
        self._services = PullServices(
            settings,
            handles,
            self.metrics,
            self.database,
            sources=dict(sources or {}),
            tasks=tasks or Tasks(),
        )
        self.content = self._services._content
        # Nothing that has a clock or an account is built yet.
        self._services._clock = self.content._clock = self.clock
        self._services._waits = UpstreamWaits(self.clock, Outages(), settings.tags.wait_for)
        if questions is not None:
            self._services._questions = questions
        if space is not None:
            self.content.space = space  # type: ignore[assignment]  # has all that is called

    def ask_no_other(self) -> None:
        """Let this process never ask others what they want of the bandwidth."""
        upstreams = self._services._settings.upstreams
        self._services._bandwidth = build_sole_bandwidth(self.folder, upstreams)

    @cached_property
    def blobs(self) -> Blobs:
        return self._services._build_blobs()

    @property
    def deliveries(self) -> Deliveries:
        return self._services._deliveries

    @property
    def downloads(self) -> Downloads:
        return self.blobs._downloads

    @cached_property
    def manifests(self) -> Manifests:
        return self._services._build_manifests()

    @cached_property
    def lists(self) -> TagsAndReferrers:
        return self._services._build_lists()

    @cached_property
    def decisions(self) -> TagDecisions:
        """What tags serve, without delays."""
        return TagDecisions(self.content.manifests.histories, TagDelays({}), self.clock)

    @cached_property
    def cache(self) -> ManifestCache:
        """The cache of manifests, which does not look for changes by itself."""
        manifests = self.content.manifests
        return ManifestCache(ManifestMemory(10**6), manifests.catalog, manifests)


def _list_upstreams(
    names: Iterable[str], private: Collection[str], connections: int, table: Mapping[str, Any]
) -> dict[str, UpstreamSettings]:
    return {
        name: UpstreamSettings(
            endpoints=("https://memory.example",),
            connections=connections,
            default=not number,
            username="ann" if name in private else "",
            **table,
        )
        for number, name in enumerate(names)
    }


@asynccontextmanager
async def open_source(
    *endpoints: str, order: Literal["measured", "written"] = "measured"
) -> AsyncIterator[RegistrySource]:
    """Open Docker Hub as a source of content, with its real client."""
    upstream = UpstreamSettings(endpoints=endpoints, order=order)
    async with open_client("docker.io", upstream) as client:
        built = build_endpoints("docker.io", upstream, client, lambda _: None)
        yield build_source("docker.io", upstream, built)


async def open_parts(stack: AsyncExitStack, folder: DataFolder, **options: Any) -> ProcessParts:
    """Open the parts of one more process on a data folder; the end of `stack` closes them."""
    database = await stack.enter_async_context(Database(folder.catalog))
    tasks = await stack.enter_async_context(Tasks())
    return ProcessParts(open_handles(folder), database, tasks=tasks, **options)
