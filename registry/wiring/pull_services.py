"""The objects that answer the pulls of one worker; each is built from others."""

import random
import time
from functools import cached_property

from registry.access.shown_addresses import choose_form
from registry.catalog.blob_access import BlobAccessCatalog
from registry.catalog.client_visits import ClientVisitCatalog
from registry.catalog.database import Database
from registry.catalog.deliveries import DeliveryCatalog
from registry.catalog.manifests import ManifestCatalog
from registry.catalog.pulls import PullCatalog
from registry.catalog.upstream_lists import UpstreamListCatalog
from registry.content.backup import DataHandles
from registry.content.client_visits import ClientVisits
from registry.content.pull_log import PullLog
from registry.metrics.process_metrics import Metrics
from registry.mirror.background_proofs import BackgroundProofs
from registry.mirror.bandwidth import Bandwidth
from registry.mirror.blob_checks import BlobChecks
from registry.mirror.blobs import Blobs
from registry.mirror.cache_status import CacheStatus
from registry.mirror.circles import Circles
from registry.mirror.deliveries import Deliveries
from registry.mirror.downloads import Downloads
from registry.mirror.gone_tags import GoneTags
from registry.mirror.manifest_cache import ManifestCache
from registry.mirror.manifest_memory import ManifestMemory
from registry.mirror.manifests import Manifests
from registry.mirror.mirror import Mirror
from registry.mirror.mirror_rules import MirrorRules
from registry.mirror.negative_cache import NegativeCache
from registry.mirror.outages import Outages
from registry.mirror.question_limit import QuestionLimit
from registry.mirror.repository_list import RepositoryList
from registry.mirror.revalidation import Revalidator
from registry.mirror.routing import UpstreamTable
from registry.mirror.tag_decisions import TagDecisions
from registry.mirror.tags_and_referrers import TagsAndReferrers
from registry.mirror.trials import Trials
from registry.mirror.upstream_waits import UpstreamWaits
from registry.mirror.waiting_clients import WaitingClients
from registry.settings.model import Settings
from registry.settings.trust_domains import find_trusted
from registry.store.demand_files import READERS, DemandFiles
from registry.store.file_locks import BestEffortLocks
from registry.tasks import Tasks
from registry.upstream.contract import Source
from registry.upstream.download_budget import DownloadBudget
from registry.upstream.via import ViaWriter, make_name
from registry.wiring.content import ContentServices
from registry.wiring.upstream_rules import build_mirror_rules, build_tag_delays

# Connections up to which downloads that warm have several. What each receives until it slows down
# delays clients.
WARMING_SPREAD = 8
MEMORY = 32 * 1024 * 1024  # bytes of manifests that one worker keeps in memory


class PullServices:
    """The objects that answer the pulls of one worker."""

    def __init__(
        self,
        settings: Settings,
        handles: DataHandles,
        metrics: Metrics,
        database: Database,
        *,
        sources: dict[str, Source],
        tasks: Tasks,
        stored: CacheStatus = CacheStatus.HIT,
        outages: Outages | None = None,
        via: ViaWriter | None = None,
        is_warming: bool = False,
    ) -> None:
        """With `is_warming`, downloads are for nobody, and those for clients come before them."""
        self._settings = settings
        self._via = via or ViaWriter(make_name())
        self._handles = handles
        self._metrics = metrics
        self._database = database
        self._sources = sources
        self._tasks = tasks
        self._stored = stored
        self._is_warming = is_warming
        self._content = ContentServices(settings, handles, metrics, database)
        self._manifest_catalog = ManifestCatalog(database)
        self._negative_cache = NegativeCache(settings.tags.missing_for)
        self._clock = time.time
        limit = settings.limits.not_found_per_address
        self._show_address = choose_form(settings.access.addresses)
        self._questions = QuestionLimit(
            limit, metrics, time.monotonic, show_address=self._show_address
        )
        self._waits = UpstreamWaits(time.time, outages or Outages(), settings.tags.wait_for)

    @cached_property
    def _pulls(self) -> PullLog:
        return PullLog(PullCatalog(self._database), self._clock, self._show_address)

    @cached_property
    def _rules(self) -> MirrorRules:
        return build_mirror_rules(self._settings)

    @cached_property
    def _deliveries(self) -> Deliveries:
        return Deliveries(
            find_trusted(self._settings.upstreams),
            DeliveryCatalog(self._database),
            self._sources,
            self._content.content.blobs,
            self._tasks,
            clock=self._clock,
            chance=random.SystemRandom(),
            metrics=self._metrics,
        )

    def build_mirror(self) -> Mirror:
        """Return the mirror of this worker."""
        self._tasks.keep(self._downloads.keep_releasing())
        visits = ClientVisits(ClientVisitCatalog(self._database), self._clock)
        self._tasks.keep(visits.keep_flushing())
        files = DemandFiles(self._handles.folder.locks, READERS)
        waiting = WaitingClients(files, self._downloads.count_waiting)
        self._tasks.keep(waiting.keep_telling())
        return Mirror(
            table=UpstreamTable(self._settings.registries),
            via=self._via,
            circles=Circles(self._sources),
            rules=self._rules,
            manifests=self._build_manifests(),
            blobs=self._build_blobs(),
            lists=self._build_lists(),
            repositories=RepositoryList(self._manifest_catalog),
            visits=visits,
        )

    def _build_manifests(self) -> Manifests:
        tags, clock = self._settings.tags, self._clock
        self._tasks.keep(self._pulls.keep_flushing())
        cache = ManifestCache(
            ManifestMemory(MEMORY), self._manifest_catalog, self._content.manifests
        )
        self._tasks.keep(cache.keep_watching())
        self._tasks.keep(cache.keep_storing())
        locks = BestEffortLocks(self._handles.folder.locks)
        proofs = BackgroundProofs(self._deliveries)
        self._tasks.keep(proofs.keep_proving())
        revalidator = Revalidator(
            self._sources,
            cache,
            locks,
            self._tasks,
            self._deliveries,
            decisions=TagDecisions(
                self._content.manifests.histories, build_tag_delays(self._settings), clock
            ),
            tags=tags,
            clock=clock,
            metrics=self._metrics,
            on_new=proofs.note,
        )
        return Manifests(
            cache,
            revalidator,
            self._negative_cache,
            tags,
            clock,
            rules=self._rules,
            waits=self._waits,
            questions=self._questions,
            pulls=self._pulls,
            offline=self._settings.offline,
            gone=GoneTags(self._manifest_catalog, clock),
            stored=self._stored,
            count_stale=lambda *labels: self._metrics.upstreams.stale.labels(*labels).inc(),
        )

    def _build_blobs(self) -> Blobs:
        return Blobs(
            self._sources,
            {name: upstream.connections for name, upstream in self._settings.upstreams.items()},
            content=self._content.content,
            downloads=self._downloads,
            checks=self._build_checks(),
            deliveries=self._deliveries,
            pulls=self._pulls,
            metrics=self._metrics,
            stored=self._stored,
        )

    @cached_property
    def _downloads(self) -> Downloads:
        limits = self._settings.limits
        spread = WARMING_SPREAD if self._is_warming else None
        budget = DownloadBudget(limits.download_memory, limits.download_connections, spread)
        trials = Trials(self._tasks, self._metrics, budget=budget, bandwidth=self._bandwidth)
        return Downloads(
            self._content.content,
            self._tasks,
            self._clock,
            self._metrics,
            budget=budget,
            bandwidth=self._bandwidth,
            on_delivered=trials.note,
            most_readers=limits.readers_per_download,
        )

    @cached_property
    def _bandwidth(self) -> Bandwidth:
        rates = {name: each.max_rate for name, each in self._settings.upstreams.items()}
        files = DemandFiles(self._handles.folder.locks)
        return Bandwidth(files, self._tasks, rates, self._clock, is_warming=self._is_warming)

    def _build_checks(self) -> BlobChecks:
        return BlobChecks(
            self._sources,
            BlobAccessCatalog(self._database),
            self._negative_cache,
            self._tasks,
            waits=self._waits,
            clock=self._clock,
            questions=self._questions,
        )

    def _build_lists(self) -> TagsAndReferrers:
        return TagsAndReferrers(
            self._sources,
            UpstreamListCatalog(self._database),
            self._manifest_catalog,
            self._negative_cache,
            self._tasks,
            waits=self._waits,
            questions=self._questions,
            tags=self._settings.tags,
            clock=self._clock,
        )
