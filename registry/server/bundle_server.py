"""A bundle served from its own files: a mirror without upstreams, over a folder for the moment.

Catalog and names are made from the bundle, as an import would make them; blobs stay where they are.
"""

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from registry.bundle.format.lock import Lock
from registry.bundle.load.result import Imported
from registry.bundle.read.blob_store import BundleStore
from registry.bundle.read.head import Opened
from registry.catalog.database import Database, prepare
from registry.errors import BundleInvalid, StoreError
from registry.logs import configure_logs
from registry.server.master import run_processes
from registry.server.shared import SharedResources
from registry.settings.model import ServerSettings, Settings, builtin_upstreams
from registry.store.data_folder import DataFolder, open_folder
from registry.store.run_folder import open_run_folder

# Imported only when it is said where things are counted (see `processes.run_processes`).
if TYPE_CHECKING:
    from registry.metrics import Metrics
    from registry.mirror.mirror import Mirror
    from registry.server.worker import Service

REST = 3.0  # times as long as it took to verify a blob nothing is read in the background
LULL = 10.0  # seconds before the background tries again what could not be read
Tell = Callable[[Imported, int, str], None]


def serve_bundle(opened: Opened, server: ServerSettings, tell: Tell) -> bool:
    """Serve a bundle until told to stop; `tell` is told what, of how many bytes, and where.

    Returns whether it could be served at all; if not, the log says why.

    Raises:
        BundleInvalid: it cannot be read to its end, or is a stream, or no image in it is whole.
        SettingsError: an address cannot be listened on.
        StoreError, OSError: the folder for temporary files cannot be used, or the bundle not read.
    """
    configure_logs()
    with _open_folder() as folder:
        prepare(folder.catalog, lambda: None)
        proofs = folder.root / "proofs"
        proofs.mkdir()
        store = BundleStore.over(opened, proofs)
        settings = _build_settings(opened.lock, server, folder.root)

        def begin(shared: SharedResources) -> "Service":
            done = asyncio.run(_enter(opened, shared, store))
            tell(done, store.size, _format_address(shared))
            if not done.images:
                raise BundleInvalid(opened.source.label, _tell_cure(done.volumes))
            return _make_trade(store)

        return run_processes(settings, folder, opened.source.label, begin, lambda: settings)


@contextmanager
def _open_folder() -> Iterator[DataFolder]:
    """Make a data folder for as long as we run; those of runs that were killed go first."""
    parent = Path(tempfile.gettempdir()) / f"entrepot-{os.geteuid()}"
    parent.mkdir(mode=0o700, exist_ok=True)
    if parent.lstat().st_uid != os.geteuid():  # whoever owns it could give us another catalog
        raise StoreError(str(parent), "belongs to somebody else; set TMPDIR to another folder")
    root = open_run_folder(parent)
    try:
        yield open_folder(root)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _build_settings(lock: Lock, server: ServerSettings, root: Path) -> Settings:
    """Know every upstream that is in the bundle, and those that everybody knows; ask none."""
    upstreams = builtin_upstreams()
    for image in lock.images:
        name = image.repository.registry
        upstreams.setdefault(name, {"endpoints": [f"https://{name}"]})
    tables = {"offline": True, "storage": {"path": root}, "upstreams": upstreams}
    return Settings.model_validate(tables | {"server": server})


def _format_address(shared: SharedResources) -> str:
    host, port = shared.pulls.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def _enter(opened: Opened, shared: SharedResources, store: BundleStore) -> Imported:
    """Import the bundle into a store that has all its blobs: what is left are manifests and names.

    So an image that lacks anything gets no name here either.
    """
    from registry.metrics import Metrics  # noqa: PLC0415
    from registry.wiring.content import ContentServices, open_handles  # noqa: PLC0415

    handles = replace(open_handles(shared.folder), blobs=store)
    for digest in opened.lock.manifests:
        if await store.stat(digest) is not None:
            await store.is_right(digest)  # from now on a damaged one counts as not here
    async with Database(shared.folder.catalog) as database:
        content = ContentServices(shared.settings, handles, Metrics(), database)
        return await content.importer.load_names(opened)


def _tell_cure(volumes: Sequence[int]) -> str:
    if volumes:
        return f"no image in it can be served; give volumes {', '.join(map(str, volumes))} too"
    return "no image in it can be served; bundle verify says what is damaged or left out"


def _make_trade(store: BundleStore) -> "Service":
    from registry.server.worker import Service  # noqa: PLC0415
    from registry.wiring.content import open_handles  # noqa: PLC0415
    from registry.wiring.pulls import open_services  # noqa: PLC0415

    def open_mirror(
        shared: SharedResources, metrics: "Metrics"
    ) -> AbstractAsyncContextManager["Mirror"]:
        handles = replace(open_handles(shared.folder), blobs=store)
        return open_services(shared.settings, handles, metrics)

    async def verify(_: SharedResources, __: "Metrics") -> None:
        await verify_slowly(store)

    return Service(open_mirror, verify)


async def verify_slowly(store: BundleStore) -> None:
    """Verify what nobody has asked for yet, and say how it went; then wait to be cancelled.

    A pull that wants the blob which is just being read waits for that one only.
    """
    log = structlog.get_logger("registry.server.bundle_server")
    pending = [digest async for digest, _ in store.scan()]
    damaged = 0
    while pending:
        began = time.monotonic()
        try:
            damaged += not await store.is_right(pending[-1])
            pending.pop()
        except StoreError as error:  # a medium that was pulled out may come back
            log.error("not verified", blob=str(pending[-1]), why=str(error))  # noqa: TRY400
            pending.insert(0, pending.pop())  # the others first
            await asyncio.sleep(LULL)
        await asyncio.sleep(REST * (time.monotonic() - began))
    log.info("verified", damaged=damaged)
    await asyncio.Event().wait()
