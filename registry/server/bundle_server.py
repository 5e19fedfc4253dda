"""`entrepot bundle serve`: a mirror without upstreams, over the files of a bundle.

Catalog and names are imported into a temporary data folder; blobs stay in the bundle's files.
"""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from registry.bundle.format.lock import Lock
from registry.bundle.load.result import Imported
from registry.bundle.read.blob_store import BundleStore
from registry.bundle.read.head import Opened
from registry.errors import BundleInvalid, StoreError
from registry.logs import get_logger
from registry.server.addresses import advise_options
from registry.server.master import bind_addresses, run_processes
from registry.server.shared import SharedResources
from registry.settings.configuration import Configuration, Reload
from registry.settings.model import ServerSettings, Settings, StorageSettings
from registry.settings.upstreams import UpstreamSettings, builtin_upstreams
from registry.wiring.data_folder import open_run_data_folder
from registry.wiring.services import Service, build_bundle_service, import_names

IDLE_FACTOR = 3.0  # after each verified blob, idle for this many times as long as it took
RETRY_SECONDS = 10.0  # seconds before a blob that could not be read is tried again
Report = Callable[[Imported, int, str], None]


def serve_bundle(
    opened: Opened, server: ServerSettings, report: Report, *, is_on_terminal: bool = False
) -> bool:
    """Serve a bundle until SIGTERM or SIGINT; with `is_on_terminal`, SIGHUP ends it too.

    `report` is called once, before serving, with the result of the import, the bytes of all blobs,
    and the address that clients use.
    Returns whether the bundle could be served at all; if not, the log says why.

    Raises:
        BundleInvalid: the bundle cannot be read to its end, or is a stream, or no image in it is
            complete.
        SettingsError: an address cannot be listened on.
        StoreError, OSError: the folder for temporary files or the bundle cannot be read or written.
    """
    addresses = bind_addresses(server, advise_options)  # first: if it fails, no folder is made
    with open_run_data_folder() as folder:
        proofs = folder.root / "proofs"
        proofs.mkdir()
        store = BundleStore.over(opened, proofs)
        settings = _build_settings(opened.lock, server, folder.root)
        configuration = Configuration(settings, Path(opened.source.label))

        def begin(shared: SharedResources) -> Service:
            done = asyncio.run(_import(opened, shared, store))
            report(done, store.size, _format_address(shared))
            if not done.images:
                raise BundleInvalid(opened.source.label, _explain(opened.lock, done))
            return build_bundle_service(store, verify_slowly)

        return run_processes(
            configuration,
            addresses,
            folder,
            begin,
            lambda _: Reload(configuration, settings),
            is_on_terminal=is_on_terminal,
        )


def _build_settings(lock: Lock, server: ServerSettings, root: Path) -> Settings:
    """Return offline settings with every registry of the bundle and the built-in registries."""
    upstreams = builtin_upstreams()
    for image in lock.images:
        name = image.repository.registry
        upstreams.setdefault(name, {"endpoints": (f"https://{name}",)})
    return Settings(
        offline=True,
        server=server,
        storage=StorageSettings(path=root),
        upstreams={name: UpstreamSettings(**table) for name, table in upstreams.items()},
    )


def _format_address(shared: SharedResources) -> str:
    host, port = shared.pulls.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def _import(opened: Opened, shared: SharedResources, store: BundleStore) -> Imported:
    for digest in opened.lock.manifests:
        if await store.stat(digest) is not None:
            await store.is_right(digest)  # from now on a damaged manifest counts as missing
    return await import_names(opened, shared.settings, shared.folder, store)


def _explain(lock: Lock, done: Imported) -> str:
    if volumes := done.volumes:
        numbers = ", ".join(map(str, volumes))
        given = f"volume{'s' * (len(volumes) > 1)} {numbers} of {done.volume_count}"
        return f"no image in it can be served; give {given} too"
    if any(digest in done.need for digest, _ in lock.omitted):
        return "no image in it can be served: it is a delta, which omits layers; use import"
    return "no image in it can be served; entrepot bundle verify says what is damaged"


async def verify_slowly(store: BundleStore) -> None:
    """Verify the blobs that no client has pulled yet, log the result, and wait until cancelled.

    If a client pulls the blob that is being verified, the client waits only for that blob.
    """
    log = get_logger("registry.server.bundle_server")
    pending = [digest async for digest, _ in store.scan()]
    damaged = 0
    while pending:
        began = time.monotonic()
        try:
            damaged += not await store.is_right(pending[-1])
            pending.pop()
        except StoreError as error:  # a medium may be plugged in again
            log.error("not verified", blob=str(pending[-1]), why=str(error))  # noqa: TRY400
            pending.insert(0, pending.pop())  # try the others first
            await asyncio.sleep(RETRY_SECONDS)
        await asyncio.sleep(IDLE_FACTOR * (time.monotonic() - began))
    log.info("verified", damaged=damaged)
    await asyncio.Event().wait()
