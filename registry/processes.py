"""The supervisor: pull workers on one socket and one steward, kept alive, drained and reloaded.

It is small and synchronous, so that forking is safe: no threads, no event loop, no connections.
Everything the processes share lives in the data folder, in the sockets made here, and in a page of
heartbeats; a worker needs no message from another. Why not gunicorn: decision record 0005.
"""

import asyncio
import gc
import os
import signal
import socket
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, NoReturn

import structlog

from registry.berth import DRAIN, STEWARD, Berth, bind, check_files
from registry.catalog.database import prepare
from registry.errors import EntrepotError, SettingsError, StoreError, StoreTooNew
from registry.heartbeats import Heartbeats
from registry.logs import configure_logs
from registry.quantities import Address
from registry.settings import Settings
from registry.store.folder import DataFolder, open_folder, write_durably
from registry.store.scratch import open_scratch
from registry.upstream.transport import preload

RESPAWN = 1.0  # seconds before a dead process is replaced, so that a broken one does not spin
GRACE = DRAIN + 5.0  # seconds after which a process that does not drain is killed
BIRTH = 10.0  # seconds in which the first of a new generation must be alive
POLL = 0.02  # seconds between two looks at whether it is
STILLBORN = 3  # workers that may die before any was ever alive
_ENDS = (signal.SIGTERM, signal.SIGINT)
_WATCHED = (signal.SIGCHLD, signal.SIGHUP, *_ENDS)


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
    folder = _open_storage(settings)
    prepare(folder.catalog, lambda: _mark_lost(folder))
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
        metrics=open_scratch(folder.root / "metrics"),
    )
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(berth.metrics)
    # Imported only now: prometheus_client decides at import whether it counts in that folder.
    from registry.serving import recover, run_child  # noqa: PLC0415

    if folder.lost.exists():
        recover(berth)
    _settle()

    def reload_berth(former: Berth) -> Berth:
        renewed = reload()
        check_files(renewed)
        path = {"path": former.settings.storage.path}
        renewed = renewed.model_copy(update={"storage": renewed.storage.model_copy(update=path)})
        # A page of its own, so that the former generation's beats are not taken for the new one's.
        return replace(former, settings=renewed, heartbeats=Heartbeats(workers))

    # Blocked rather than handled: sigtimedwait takes them one at a time, race-free. And before
    # anybody is told that we serve: from then on a signal means what operators expect.
    signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
    _tell_start(berth, workers, source)
    return Supervisor(run_child, reload_berth, own_end).run(berth, workers)


def _mark_lost(folder: DataFolder) -> None:
    """Have the catalog made again, also by the next start if this one does not come to its end."""
    if folder.has_content:
        write_durably(folder.lost, b"")


def _tell_start(berth: Berth, workers: int, source: str) -> None:
    structlog.get_logger("registry.processes").info(
        "serving",
        pulls=_spell(berth.pulls),
        console=_spell(berth.console),
        workers=workers,
        data=str(berth.folder.root),
        offline=berth.settings.offline,
        settings=source,
    )


def _open_storage(settings: Settings) -> DataFolder:
    try:
        folder = open_folder(settings.storage.path)
        if not settings.offline:  # else it may be a backup that is only being tried
            folder.backup.unlink(missing_ok=True)
    except StoreTooNew:
        raise  # says by itself what to do
    except StoreError as error:
        raise SettingsError(
            "storage.path",
            f"{error.path} cannot be used ({error.why})",
            "name a folder that the user who runs entrepot may write to",
        ) from error
    return folder


def _settle() -> None:
    """Do once before forking what every child would do for itself."""
    preload()
    # What is here by now stays: no child's collector need look at it, and so copy its pages.
    gc.collect()
    gc.freeze()


def _spell(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return str(Address(host, port))


class Supervisor:
    """Runs the children until it is told to stop."""

    def __init__(
        self,
        run_child: Callable[[Berth, int], Coroutine[Any, Any, None]],
        reload: Callable[[Berth], Berth],
        own_end: int,
    ) -> None:
        """`run_child` is what a child does, by its number.

        `reload` makes a berth of the settings as they are now; raises EntrepotError.
        `own_end` is the end of the lifeline that no child may hold.
        """
        self._run_child = run_child
        self._reload = reload
        self._own_end = own_end
        self._children: dict[int, int] = {}
        self._leaving: set[int] = set()
        self._stillborn = 0
        self._log = structlog.get_logger("registry.processes")

    def run(self, berth: Berth, workers: int) -> bool:
        """Start everything and wait for SIGTERM or SIGINT; then drain and return.

        The signals must be blocked. Returns False when no worker ever came to life.
        """
        for number in (STEWARD, *range(workers)):
            self._spawn(berth, number)
        while self._stillborn < STILLBORN:
            received = signal.sigwaitinfo(_WATCHED).si_signo
            if received in _ENDS:
                break
            if received == signal.SIGHUP:
                berth = self._replace_all(berth, workers)
            self._replace_dead(berth)
        else:
            self._log.error("cannot start: every worker died at once; the lines above say why")
        self._drain(berth)
        return self._stillborn < STILLBORN

    def _spawn(self, berth: Berth, number: int) -> int:
        pid = os.fork()
        if pid == 0:
            os.close(self._own_end)
            _live(self._run_child(berth, number))
        self._children[pid] = number
        return pid

    def _replace_dead(self, berth: Berth) -> None:
        for pid, number in self._reap():
            if pid in self._leaving:
                self._leaving.discard(pid)
                continue
            if number != STEWARD and not berth.heartbeats.was_ever_alive():
                self._stillborn += 1
                if self._stillborn >= STILLBORN:
                    break
            self._log.error("a process died and is replaced", process=_name(number), pid=pid)
            time.sleep(RESPAWN)
            self._spawn(berth, number)

    def _replace_all(self, former: Berth, workers: int) -> Berth:
        try:
            berth = self._reload(former)
        except EntrepotError as error:
            self._log.error("not reloaded: the former settings stay", why=str(error))
            return former
        leaving = list(self._children)
        coming = [self._spawn(berth, number) for number in range(workers)]
        if is_born := self._wait_for_life(berth, coming):
            # Only now: a steward without workers would tell probes that nobody answers.
            self._spawn(berth, STEWARD)
            self._log.info("reloaded")
        else:
            leaving = coming
            why = "no new worker came to life"
            self._log.error("not reloaded: the former settings stay", why=why)
        self._leaving.update(leaving)
        for pid in leaving:
            os.kill(pid, signal.SIGTERM)
        return berth if is_born else former

    def _wait_for_life(self, berth: Berth, pids: list[int]) -> bool:
        """Whether a new worker lives before all are dead, BIRTH is over, or we are to end."""
        deadline = time.monotonic() + BIRTH
        while not berth.heartbeats.was_ever_alive():
            is_over = time.monotonic() > deadline or signal.sigpending() & set(_ENDS)
            if is_over or all(map(_has_ended, pids)):
                return False
            time.sleep(POLL)
        return True

    def _reap(self) -> list[tuple[int, int]]:
        dead = []
        while self._children:
            pid, _ = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            # As the first process of a container we also inherit children of others.
            if (number := self._children.pop(pid, None)) is not None:
                dead.append((pid, number))
        return dead

    def _drain(self, berth: Berth) -> None:
        # Whoever comes now is refused at once, as soon as the workers have closed theirs too.
        berth.pulls.close()
        berth.console.close()
        for pid in self._children:
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + GRACE
        while self._children and (left := deadline - time.monotonic()) > 0:
            received = signal.sigtimedwait(_WATCHED, left)
            self._reap()
            if received is not None and received.si_signo in _ENDS:
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


def _has_ended(pid: int) -> bool:
    """Whether a child has; it stays to be reaped."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
