"""The supervisor: pull workers on one socket and one steward, kept alive, drained and reloaded.

It is small and synchronous, so that forking is safe: no threads, no event loop, no connections.
Everything the processes share lives in the data folder, in the sockets made here, and in a page of
heartbeats; a worker needs no message from another. Why not gunicorn: decision record 0005.
"""

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import structlog

from registry.app import check_files
from registry.catalog.database import migrate
from registry.errors import EntrepotError, SettingsError, StoreError, StoreTooNew
from registry.heartbeats import Heartbeats
from registry.logs import configure_logs
from registry.quantities import Address
from registry.serving import BACKLOG, DRAIN, Berth, load_tls, run_steward, run_worker
from registry.settings import Settings
from registry.store.folder import DataFolder, open_folder

STEWARD = -1  # the steward's number; workers count from 0
RESPAWN = 1.0  # seconds before a dead process is replaced, so that a broken one does not spin
GRACE = DRAIN + 5.0  # seconds after which a process that does not drain is killed
_WATCHED = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def count_workers(configured: int) -> int:
    """Return how many pull workers to run; 0 means one per core, at most 4."""
    return configured or min(4, len(os.sched_getaffinity(0)))


def bind(key: str, address: Address) -> socket.socket:
    """Listen on an address, before anything is forked.

    Raises:
        SettingsError: the port is in use, forbidden, or the host is not ours.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((address.host, address.port))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise SettingsError(
            key,
            f"cannot listen on {address} ({error.strerror or error})",
            "stop what uses it, or write another address",
        ) from error
    listening.setblocking(False)
    return listening


def serve_forever(settings: Settings, reload: Callable[[], Settings]) -> None:
    """Open what all processes share, run them, and return when told to stop.

    `reload` loads the settings again, on SIGHUP; addresses, workers and storage stay as they were.

    Raises:
        SettingsError: an address cannot be listened on, a file that is named cannot be read, or the
            data folder cannot be used.
        StoreError: the catalog cannot be used, or the data folder is of a newer version.
    """
    configure_logs()
    _check(settings)
    folder = _open_storage(settings.storage.path)
    migrate(folder.catalog)
    workers = count_workers(settings.server.workers)
    # Its write end stays open in this process alone: whatever ends it, the children notice.
    lifeline, own_end = os.pipe()
    berth = Berth(
        settings=settings,
        folder=folder,
        pulls=bind("server.listen", settings.server.listen),
        console=bind("server.console", settings.server.console),
        heartbeats=Heartbeats(workers),
        lifeline=lifeline,
    )

    def reload_berth(former: Berth) -> Berth:
        renewed = reload()
        _check(renewed)
        return replace(former, settings=renewed)

    structlog.get_logger("registry.processes").info(
        "serving",
        pulls=_spell(berth.pulls),
        console=_spell(berth.console),
        workers=workers,
        data=str(folder.root),
        offline=settings.offline,
    )
    Supervisor(reload_berth, own_end).run(berth, workers)


def _open_storage(path: Path) -> DataFolder:
    try:
        return open_folder(path)
    except StoreTooNew:
        raise  # says by itself what to do
    except StoreError as error:
        raise SettingsError(
            "storage.path",
            f"{error.path} cannot be used ({error.why})",
            "name a folder that the user who runs entrepot may write to",
        ) from error


def _check(settings: Settings) -> None:
    load_tls(settings.server)
    check_files(settings)


def _spell(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return str(Address(host, port))


class Supervisor:
    """Runs the children until it is told to stop."""

    def __init__(self, reload: Callable[[Berth], Berth], own_end: int) -> None:
        """`reload` makes a berth of the settings as they are now; raises EntrepotError.

        `own_end` is the end of the lifeline that no child may hold.
        """
        self._reload = reload
        self._own_end = own_end
        self._children: dict[int, int] = {}
        self._leaving: set[int] = set()
        self._log = structlog.get_logger("registry.processes")

    def run(self, berth: Berth, workers: int) -> None:
        """Start everything and wait for SIGTERM or SIGINT; then drain and return."""
        # Blocked rather than handled: sigtimedwait below takes them one at a time, race-free.
        signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
        numbers = [STEWARD, *range(workers)]
        for number in numbers:
            self._spawn(berth, number)
        while True:
            received = signal.sigwaitinfo(_WATCHED).si_signo
            if received in (signal.SIGTERM, signal.SIGINT):
                break
            if received == signal.SIGHUP:
                berth = self._replace_all(berth, numbers)
            self._replace_dead(berth)
        self._drain()

    def _spawn(self, berth: Berth, number: int) -> None:
        pid = os.fork()
        if pid == 0:
            os.close(self._own_end)
            body = run_steward(berth) if number == STEWARD else run_worker(berth, number)
            _live(body)
        self._children[pid] = number

    def _replace_dead(self, berth: Berth) -> None:
        for pid, number in self._reap():
            if pid in self._leaving:
                self._leaving.discard(pid)
                continue
            self._log.error("a process died and is replaced", process=_name(number), pid=pid)
            time.sleep(RESPAWN)
            self._spawn(berth, number)

    def _replace_all(self, berth: Berth, numbers: list[int]) -> Berth:
        try:
            berth = self._reload(berth)
        except EntrepotError as error:
            self._log.error("not reloaded: the former settings stay", why=str(error))
            return berth
        former = list(self._children)
        for number in numbers:
            self._spawn(berth, number)
        self._leaving.update(former)
        for pid in former:
            os.kill(pid, signal.SIGTERM)
        self._log.info("reloaded")
        return berth

    def _reap(self) -> list[tuple[int, int]]:
        dead = []
        while self._children:
            pid, _ = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            dead.append((pid, self._children.pop(pid)))
        return dead

    def _drain(self) -> None:
        for pid in self._children:
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + GRACE
        while self._children and (left := deadline - time.monotonic()) > 0:
            received = signal.sigtimedwait(_WATCHED, left)
            self._reap()
            if received is not None and received.si_signo != signal.SIGCHLD:
                break  # asked a second time: no more waiting
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)
        while self._children:
            pid, _ = os.waitpid(-1, 0)
            self._children.pop(pid, None)


def _live(body: Coroutine[Any, Any, None]) -> NoReturn:
    """Be a child: run `body`, then leave without the parent's clean-up."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)
    code = 1
    try:
        asyncio.run(body)
        code = 0
    except EntrepotError as error:
        structlog.get_logger("registry.processes").error("cannot run", why=str(error))
    except BaseException:  # noqa: BLE001 - the last place before _exit: nothing is re-raised
        structlog.get_logger("registry.processes").exception("crashed")
    finally:
        os._exit(code)


def _name(number: int) -> str:
    return "steward" if number == STEWARD else f"worker {number}"
