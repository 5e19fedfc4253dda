"""The processes of a server: pull workers on one socket and one steward, under a supervisor.

Everything the processes share lives in the data folder, in the sockets made here, and in a page of
heartbeats; a worker needs no message from another. Why not gunicorn: decision record 0005.
"""

import gc
import os
import signal
import socket
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import structlog

from registry.logs import configure_logs
from registry.server.heartbeats import Heartbeats
from registry.server.shared import SharedResources, bind, check_files
from registry.server.supervisor import WATCHED, Supervisor
from registry.settings.model import Settings
from registry.settings.values import Address
from registry.store.data_folder import DataFolder
from registry.store.run_folder import open_run_folder
from registry.upstream.client import preload
from registry.wiring.data_folder import open_data_folder

if TYPE_CHECKING:
    from registry.server.worker import Service


def count_workers(configured: int) -> int:
    """Return how many pull workers to run; 0 means one per core, at most 4."""
    return configured or min(4, len(os.sched_getaffinity(0)))


def serve_forever(settings: Settings, source: str, reload: Callable[[], Settings]) -> bool:
    """Open what all processes share, run them, and return when told to stop.

    `source` is where the settings are from, for the log. `reload` loads them again, on SIGHUP;
    addresses, workers and the data folder stay as they were.
    Returns whether the mirror could run at all; if not, the log says why.

    Raises:
        SettingsError: an address cannot be listened on, a file that is named cannot be read, or the
            data folder cannot be used.
        StoreError: the catalog cannot be used, or the data folder is of a newer version.
    """
    configure_logs()
    check_files(settings)
    folder = open_data_folder(settings)
    if not settings.offline:  # else it may be a backup that is only being tried
        folder.backup.unlink(missing_ok=True)
    return run_processes(settings, folder, source, _begin_mirror, reload)


def _begin_mirror(shared: SharedResources) -> "Service":
    from registry.server.worker import MIRROR, recover  # noqa: PLC0415

    if shared.folder.lost.exists():
        recover(shared)
    return MIRROR


def run_processes(
    settings: Settings,
    folder: DataFolder,
    source: str,
    begin: Callable[[SharedResources], "Service"],
    reload: Callable[[], Settings],
) -> bool:
    """Run a server on an open data folder, and return when told to stop.

    `begin` is called once, when the addresses are bound and it is said where things are counted:
    only then may be imported what counts, as prometheus_client decides at import where it does.
    For the rest see `serve_forever`.

    Raises:
        SettingsError: an address cannot be listened on.
        EntrepotError: whatever `begin` raises.
    """
    workers = count_workers(settings.server.workers)
    # Its write end stays open in this process alone: whatever ends it, the children notice.
    lifeline, own_end = os.pipe()
    shared = SharedResources(
        settings=settings,
        folder=folder,
        pulls=bind("server.listen", settings.server.listen),
        console=bind("server.console", settings.server.console),
        heartbeats=Heartbeats(workers),
        lifeline=lifeline,
        metrics=open_run_folder(folder.root / "metrics"),
    )
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(shared.metrics)
    from registry.server.worker import run_child  # noqa: PLC0415

    trade = begin(shared)
    _settle()

    def reload_shared(former: SharedResources) -> SharedResources:
        renewed = reload()
        check_files(renewed)
        path = {"path": former.settings.storage.path}
        renewed = renewed.model_copy(update={"storage": renewed.storage.model_copy(update=path)})
        # A page of its own, so that the former generation's beats are not taken for the new one's.
        return replace(former, settings=renewed, heartbeats=Heartbeats(workers))

    # Blocked rather than handled: sigtimedwait takes them one at a time, race-free. And before
    # anybody is told that we serve: from then on a signal means what operators expect.
    signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
    _tell_start(shared, workers, source)
    return Supervisor(partial(run_child, trade), reload_shared, own_end).run(shared, workers)


def _tell_start(shared: SharedResources, workers: int, source: str) -> None:
    structlog.get_logger("registry.server.master").info(
        "serving",
        pulls=_format(shared.pulls),
        console=_format(shared.console),
        workers=workers,
        data=str(shared.folder.root),
        offline=shared.settings.offline,
        settings=source,
    )


def _settle() -> None:
    """Do once before forking what every child would do for itself."""
    preload()
    # What is here by now stays: no child's collector need look at it, and so copy its pages.
    gc.collect()
    gc.freeze()


def _format(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return str(Address(host, port))
