"""The processes of a server: pull workers and one background process, under a supervisor.

The processes share the data folder, the sockets that are bound here, and a page of heartbeats. They
send each other no messages. Decision record 0005 says why gunicorn is not used.
"""

import asyncio
import gc
import math
import os
import signal
import socket
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from registry.logs import get_logger, watch_events
from registry.server.addresses import AddressRefused, Advise, advise_settings, join_refusals
from registry.server.background import run_background
from registry.server.child import keep_beating
from registry.server.descriptors import raise_descriptor_limit
from registry.server.heartbeats import BACKGROUND, REBUILD, Heartbeats
from registry.server.listener import bind
from registry.server.live_tls import LiveTLS
from registry.server.probe_requests import ProbeRequests
from registry.server.recent_events import SUPERVISOR, RecentEvents
from registry.server.shared import SharedResources
from registry.server.supervisor import WATCHED, Supervisor
from registry.server.tls import check_files
from registry.server.worker import run_worker
from registry.settings.configuration import Configuration, Reload
from registry.settings.model import ServerSettings, Settings
from registry.settings.values import Address
from registry.store.data_folder import DataFolder
from registry.store.file_locks import ExclusiveLocks
from registry.store.run_folder import note_console, open_run_folder
from registry.tasks import Tasks, in_thread
from registry.wiring.content import open_content
from registry.wiring.data_folder import open_data_folder, prepare_catalog
from registry.wiring.data_folder_checks import METRICS
from registry.wiring.services import (
    Service,
    build_mirror_service,
    preload_libraries,
    reload_certificates,
)


def count_workers(configured: int) -> int:
    """Return how many pull workers to run; 0 means one per core, at most 4."""
    return configured or min(4, len(os.sched_getaffinity(0)))


def serve_forever(
    configuration: Configuration,
    reload: Callable[[Settings], Reload],
    sound: bool | None = None,
    *,
    is_on_terminal: bool = False,
) -> bool:
    """Open the resources that all processes share, and run the processes until SIGTERM or SIGINT.

    `reload` gets the settings that apply on SIGHUP, and loads the configuration again; addresses,
    the number of workers and the data folder do not change then. `sound` is what `check_catalog`
    has returned. With `is_on_terminal`, SIGHUP ends the server instead.
    Returns whether the mirror could run at all; if not, the log says why.

    Raises:
        SettingsError: an address cannot be listened on, a file in the settings cannot be read, or
            the data folder cannot be used.
        StoreError: the catalog cannot be used, or the data folder is of a newer version.
    """
    settings = configuration.settings
    with configuration.origins.name_faults():
        check_files(settings)
    # Before the data folder is made: a server whose port is taken leaves no folder behind.
    addresses = bind_addresses(settings.server)
    with configuration.origins.name_faults():
        folder = open_data_folder(settings, sound)
    if not settings.offline:  # offline servers are used to test backups
        folder.backup.unlink(missing_ok=True)
    return run_processes(
        configuration, addresses, folder, _begin_mirror, reload, is_on_terminal=is_on_terminal
    )


def bind_addresses(
    server: ServerSettings, advise: Advise = advise_settings
) -> tuple[socket.socket, socket.socket]:
    """Listen on the addresses for pulls and for the console; `advise` says how to change them.

    Raises:
        SettingsError: they cannot be listened on; the error names all that cannot.
    """
    bound: list[socket.socket] = []
    refused: list[AddressRefused] = []
    for key, address in (("server.listen", server.listen), ("server.console", server.console)):
        try:
            bound.append(bind(key, address))
        except AddressRefused as error:
            refused.append(error)
    if refused:
        for listening in bound:
            listening.close()
        raise join_refusals(refused, advise)
    pulls, console = bound
    return pulls, console


def _begin_mirror(shared: SharedResources) -> Service:
    asyncio.run(_rebuild_catalog(shared))
    return build_mirror_service()


async def _rebuild_catalog(shared: SharedResources) -> None:
    """Make the catalog again if it is lost, while nothing is served.

    Raises:
        StoreError: the disk or the catalog refused.
    """
    if not shared.folder.lost.exists():
        return
    async with open_content(shared.settings, is_lost=True) as content:
        await content.rebuild.recover(time.time())
    shared.folder.lost.unlink(missing_ok=True)


def run_processes(
    configuration: Configuration,
    addresses: tuple[socket.socket, socket.socket],
    folder: DataFolder,
    begin: Callable[[SharedResources], Service],
    reload: Callable[[Settings], Reload],
    *,
    is_on_terminal: bool = False,
) -> bool:
    """Run a server on an open data folder until SIGTERM or SIGINT.

    `addresses` are those of `bind_addresses`. `begin` is called once, before anything is forked.
    For the other arguments see `serve_forever`.

    Raises:
        EntrepotError: any error that `begin` raises.
    """
    settings = configuration.settings
    descriptors = raise_descriptor_limit()
    workers = count_workers(settings.server.workers)
    # Only this process keeps the write end open, so the children notice when it ends in any way.
    supervisor_pipe, own_end = os.pipe()
    shared = SharedResources(
        settings=settings,
        source=configuration.source,
        folder=folder,
        pulls=addresses[0],
        console=addresses[1],
        heartbeats=Heartbeats(workers),
        supervisor_pipe=supervisor_pipe,
        metrics=open_run_folder(folder.root / METRICS, keeps_ended=True),
        tls=LiveTLS.of(settings),
        events=RecentEvents(workers),
        probes=ProbeRequests(workers),
    )
    _open_to_pages(shared)
    service = begin(shared)
    _prepare_fork()
    # Signals are blocked and not handled: sigtimedwait takes them one at a time, without races.
    # They are blocked before the log says "serving", because operators may then send signals.
    signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
    _log_start(shared, workers, descriptors)
    supervisor = Supervisor(
        partial(_run_child, service),
        workers,
        partial(_renew, reload, workers),
        own_end,
        is_on_terminal=is_on_terminal,
    )
    return supervisor.run(shared)


def _open_to_pages(shared: SharedResources) -> None:
    """Note where the console listens, and keep the events of this process for its pages."""
    note_console(shared.metrics, _format(shared.console))
    _watch_events(shared, SUPERVISOR)


def _watch_events(shared: SharedResources, number: int) -> None:
    if shared.events is not None:
        watch_events(shared.events.make_writer(number))


def _run_child(service: Service, shared: SharedResources, number: int) -> Coroutine[Any, Any, None]:
    _watch_events(shared, number)
    if number == BACKGROUND:
        return run_background(service, shared)
    if number == REBUILD:
        return _replace_catalog(shared)
    return run_worker(service, shared, number)


async def _replace_catalog(shared: SharedResources) -> None:
    """Put a damaged catalog aside, and make another one from the files.

    Of several servers on the data folder one does this, and the others wait for it.

    Raises:
        StoreError, OSError: the disk or the catalog refused.
    """
    async with Tasks() as tasks:
        tasks.start(keep_beating(shared.heartbeats, REBUILD))
        async with ExclusiveLocks(shared.folder.locks).hold("rebuild", math.inf):
            await in_thread(prepare_catalog, shared.folder)
            await _rebuild_catalog(shared)


def _renew(
    reload: Callable[[Settings], Reload], workers: int, former: SharedResources
) -> tuple[SharedResources, Mapping[str, object]]:
    """Return the resources with newly loaded settings, and what changed for the log.

    Raises:
        EntrepotError: the settings, or a file that they name, cannot be read.
    """
    found = reload(former.settings)
    loaded = found.loaded
    with loaded.origins.name_faults():
        check_files(loaded.settings)
    reload_certificates()
    # A new page, so that what the old workers write does not count for the new workers.
    shared = replace(
        former,
        settings=found.settings,
        source=loaded.source,
        heartbeats=Heartbeats(workers, former.heartbeats.replaced),
        tls=LiveTLS.of(found.settings),
    )
    facts: dict[str, object] = {"settings": loaded.source, "changed": found.changed}
    if found.pending:
        facts["needs_restart"] = found.pending
    return shared, facts


def _log_start(shared: SharedResources, workers: int, descriptors: int) -> None:
    get_logger("registry.server.master").info(
        "serving",
        pulls=_format(shared.pulls),
        console=_format(shared.console),
        workers=workers,
        descriptors=descriptors,
        data=str(shared.folder.root),
        offline=shared.settings.offline,
        settings=shared.source,
    )


def _prepare_fork() -> None:
    """Do work once before forking that otherwise every child would do."""
    preload_libraries()
    # No child's garbage collector visits objects that exist now, so their pages stay shared.
    gc.collect()
    gc.freeze()


def _format(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return str(Address(host, port))
