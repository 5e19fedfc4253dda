"""What a server runs: the mirror of each worker, and the work of the background process."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from registry.access.record_files import keep_tidy
from registry.content.catalog_watch import CatalogWatch
from registry.content.refused_tags import RefusedTags
from registry.metrics.process_metrics import Metrics
from registry.mirror.cache_status import CacheStatus
from registry.mirror.mirror import Mirror
from registry.mirror.outages import Outages
from registry.settings.model import Settings
from registry.store.data_folder import DataFolder, FileIdentity
from registry.store.tags import TagFiles
from registry.tasks import Tasks
from registry.upstream.client import preload
from registry.upstream.trust import trust_system
from registry.upstream.via import ViaWriter, make_name
from registry.wiring.access import build_record_files
from registry.wiring.content import ContentServices, open_content, open_handles
from registry.wiring.data_folder import open_database
from registry.wiring.pulls import open_services

if TYPE_CHECKING:  # most servers need none of these
    from registry.bundle.load.result import Imported
    from registry.bundle.read.blob_store import BundleStore
    from registry.bundle.read.head import Opened


def find_no_problem() -> str:
    """Return "": a service over a data folder has no problem of its own."""
    return ""


@dataclass(frozen=True, slots=True)
class Service:
    """The functions of a server.

    Each worker calls `open_mirror`. The background process calls `maintain`, which runs until it is
    cancelled; the last argument is the file of the catalog when the workers were started. For
    `/readyz` it calls `find_problem`, in a thread: why pulls cannot be answered, or "".

    `find_outage` returns when an upstream last gave no answer (epoch seconds, 0: it answers). It is
    None if the console has no pages.
    """

    open_mirror: Callable[[Settings, DataFolder, Metrics], AbstractAsyncContextManager[Mirror]]
    maintain: Callable[
        [Settings, DataFolder, Metrics, FileIdentity | None], Coroutine[Any, Any, None]
    ]
    find_problem: Callable[[], str] = find_no_problem
    find_outage: Callable[[str], float] | None = None


def preload_libraries() -> None:
    """Do before forking what each worker would otherwise do at its start or first request."""
    preload()


def reload_certificates() -> None:
    """Read the certificates of the system's authorities again, for workers that start later."""
    trust_system.cache_clear()
    trust_system()


def build_mirror_service() -> Service:
    """Return the service of `entrepot serve`: a mirror over the data folder.

    To be called before the workers are forked, so that they share what they know of outages, and
    the name of the mirror.
    """
    outages = Outages()
    via = ViaWriter(make_name())

    def open_mirror(
        settings: Settings, folder: DataFolder, metrics: Metrics
    ) -> AbstractAsyncContextManager[Mirror]:
        return open_services(settings, open_handles(folder), metrics, outages=outages, via=via)

    return Service(open_mirror, _maintain, find_outage=outages.find_whole)


def build_bundle_service(
    store: "BundleStore", verify: Callable[["BundleStore"], Coroutine[Any, Any, None]]
) -> Service:
    """Return the service of `entrepot bundle serve`: a mirror over the blobs of a bundle.

    `verify` checks the blobs in the background and runs until it is cancelled.
    """

    def open_mirror(
        settings: Settings, folder: DataFolder, metrics: Metrics
    ) -> AbstractAsyncContextManager[Mirror]:
        handles = replace(open_handles(folder), blobs=store)
        return open_services(settings, handles, metrics, CacheStatus.BUNDLE)

    async def maintain(*_: object) -> None:
        await verify(store)

    return Service(open_mirror, maintain, store.find_problem)


async def import_names(
    opened: "Opened", settings: Settings, folder: DataFolder, store: "BundleStore"
) -> "Imported":
    """Import a bundle into a data folder; `store` already has all its blobs.

    Only manifests and names are recorded. As in other imports, the name of an image with a missing
    or damaged blob is not recorded.

    Raises:
        StoreError, BundleInvalid, OSError: the folder or the bundle cannot be read.
    """
    handles = replace(open_handles(folder), blobs=store)
    async with open_database(folder) as database:
        content = ContentServices(settings, handles, Metrics(), database)
        return await content.importer.load_names(opened)


async def _maintain(
    settings: Settings, folder: DataFolder, metrics: Metrics, catalog: FileIdentity | None
) -> None:
    async with open_content(settings, metrics) as content, Tasks() as tasks:
        tasks.keep(keep_tidy(*build_record_files(settings, folder).values()))
        refused = RefusedTags(TagFiles(folder.tags), content.manifests.histories)
        tasks.keep(refused.keep_few())
        recording = content.monitoring.build_recording(metrics.store)
        tasks.keep(recording.keep_recording())
        watching = tasks.start(CatalogWatch(folder, catalog).keep_watching())
        tidying = tasks.start(content.maintenance.keep_tidy())
        if settings.prefetch and not settings.offline:
            # Only here: the libraries that read lists are needed by no other process.
            from registry.wiring.prefetching import build_schedule  # noqa: PLC0415

            tasks.keep(build_schedule(settings, content).keep_running())
        ended, _ = await asyncio.wait([watching, tidying], return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            task.result()
