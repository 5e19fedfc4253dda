"""The supervisor's loop: children are started, replaced, reloaded and drained.

It is small and synchronous, so that forking is safe: no threads, no event loop, no connections.
"""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, NoReturn

from registry.errors import CatalogLost, EntrepotError
from registry.logs import get_logger
from registry.server.heartbeats import BACKGROUND, REBUILD, name_process
from registry.server.shared import DRAIN, SharedResources
from registry.store.data_folder import FileIdentity
from registry.store.signs_of_life import INTERVAL, SILENCE, Silence

RESPAWN = 1.0  # seconds before a dead process is replaced, so that crashes do not repeat too fast
GRACE = DRAIN + 5.0  # seconds after which a process that does not drain is killed
START_SECONDS = 10.0  # seconds in which a worker must beat after a reload
POLL = 0.02  # seconds between two checks for a beat
MAX_FAILED_STARTS = 3  # workers that may die before any worker has beaten
REBUILD_DRAIN = 5.0  # seconds that running answers have before the catalog is made again
CATALOG_LOST = 3  # exit code of a process that noticed that the catalog has to be made again
_ENDS = (signal.SIGTERM, signal.SIGINT)
WATCHED = (signal.SIGCHLD, signal.SIGHUP, *_ENDS)


class Supervisor:
    """Runs the children until SIGTERM or SIGINT."""

    def __init__(
        self,
        run_child: Callable[[SharedResources, int], Coroutine[Any, Any, None]],
        workers: int,
        reload: Callable[[SharedResources], tuple[SharedResources, Mapping[str, object]]],
        own_end: int,
        *,
        is_on_terminal: bool = False,
        silence: float = SILENCE,
    ) -> None:
        """`run_child` returns the work of the child with a number; `workers` are from 0.

        `reload` returns the resources with newly loaded settings, and what the log says of them; or
        it raises EntrepotError.
        `own_end` is the write end of the `supervisor_pipe`, which children close. SIGHUP reloads
        the settings; with `is_on_terminal` it says that the terminal was closed, and ends.
        After `silence` seconds without a beat, a child is killed and replaced.
        """
        self._run_child = run_child
        self._numbers = (BACKGROUND, *range(workers))
        self._reload = reload
        self._own_end = own_end
        self._ends = (*_ENDS, signal.SIGHUP) if is_on_terminal else _ENDS
        self._silence = silence
        self._silences: dict[int, Silence] = {}
        self._children: dict[int, int] = {}
        self._leaving: dict[int, float] = {}  # children that are ended, and when they are killed
        self._catalog: FileIdentity | None = None
        self._failed_starts = 0
        self._is_stopping = False
        self._log = get_logger("registry.server.master")

    def run(self, shared: SharedResources) -> bool:
        """Start everything and wait for SIGTERM or SIGINT; then drain and return.

        The signals must be blocked. Returns false if no worker has ever beaten.
        """
        self._spawn_all(shared)
        # A child that ended before SIGCHLD was blocked would stay a zombie. There may be one: the
        # first process of a container inherits the children of other processes.
        self._replace_dead(shared)
        while self._failed_starts < MAX_FAILED_STARTS and not self._is_stopping:
            received = signal.sigtimedwait(WATCHED, INTERVAL)
            number = received.si_signo if received is not None else 0
            if number in self._ends:
                break
            if number == signal.SIGHUP:
                shared = self._replace_all(shared)
            self._replace_dead(shared)
            self._replace_stuck(shared)
        if self._failed_starts >= MAX_FAILED_STARTS:
            self._log.error("cannot start: every worker died at once; the lines above say why")
        self._drain(shared)
        return self._failed_starts < MAX_FAILED_STARTS

    def _spawn_all(self, shared: SharedResources) -> None:
        self._note_catalog(shared)
        for number in self._numbers:
            self._spawn(shared, number)

    def _note_catalog(self, shared: SharedResources) -> None:
        """Remember the file of the catalog before workers open it.

        If it is replaced after that, some of the processes may have the former file open. The
        background process opens it at another time, or is replaced later, so it cannot know.
        """
        with suppress(OSError):  # then it counts as replaced, and everything is started once more
            self._catalog = shared.folder.identify_catalog()

    def _spawn(self, shared: SharedResources, number: int) -> int:
        pid = os.fork()
        if pid == 0:
            os.close(self._own_end)
            shared = replace(shared, catalog=self._catalog)
            _run_and_exit(self._run_child(shared, number))
        self._children[pid] = number
        return pid

    def _replace_dead(self, shared: SharedResources) -> None:
        dead = self._reap()
        if any(code == CATALOG_LOST for _, _, code in dead):
            self._rebuild(shared)
            return
        for pid, number, code in dead:
            if pid in self._leaving:
                del self._leaving[pid]
                continue
            if number == REBUILD and not code:
                self._spawn_all(shared)
                continue
            if number != BACKGROUND and not shared.heartbeats.was_ever_alive():
                self._failed_starts += 1
                if self._failed_starts >= MAX_FAILED_STARTS:
                    break
            self._log.error("a process died and is replaced", process=name_process(number), pid=pid)
            shared.heartbeats.note_replaced()
            time.sleep(RESPAWN)
            self._spawn(shared, number)

    def _replace_stuck(self, shared: SharedResources) -> None:
        """Kill children that do not beat, and start others; kill children that do not end."""
        now = time.monotonic()
        for pid, deadline in self._leaving.items():
            if now >= deadline:
                os.kill(pid, signal.SIGKILL)
        for pid, number in list(self._children.items()):
            silence = self._silences.setdefault(pid, Silence())
            seconds = silence.measure(shared.heartbeats.last_beat(number), now)
            if pid in self._leaving or seconds < self._silence:
                continue
            self._log.error(
                "a process did not answer and is replaced",
                process=name_process(number),
                pid=pid,
                seconds=round(seconds),
            )
            # Its end is not waited for: that may take long if it waits for a disk.
            self._leaving[pid] = now
            shared.heartbeats.note_replaced()
            os.kill(pid, signal.SIGKILL)
            self._spawn(shared, number)

    def _rebuild(self, shared: SharedResources) -> None:
        """Stop all processes, and start one that makes the catalog again from the files.

        When it has ended, all others start. Until then, clients wait for their connections.
        """
        self._log.error("catalog lost: it is made again before pulls are answered")
        self._end_children(REBUILD_DRAIN)
        self._leaving.clear()
        if not self._is_stopping:
            self._spawn(shared, REBUILD)

    def _replace_all(self, former: SharedResources) -> SharedResources:
        if REBUILD in self._children.values():
            return self._keep_settings(former, "the catalog is rebuilt")
        try:
            shared, facts = self._reload(former)
        except EntrepotError as error:
            return self._keep_settings(former, str(error))
        leaving = list(self._children)
        self._note_catalog(shared)
        starting = [self._spawn(shared, number) for number in self._numbers if number >= 0]
        if has_started := self._wait_for_start(shared, starting):
            # Started after the workers: without them, the background process reports a problem.
            self._spawn(shared, BACKGROUND)
            self._log.info("reloaded", **facts)
        else:
            leaving = starting
            self._keep_settings(former, "no new worker started")
        for pid in leaving:
            self._leaving.setdefault(pid, time.monotonic() + GRACE)
            os.kill(pid, signal.SIGTERM)
        return shared if has_started else former

    def _keep_settings(self, former: SharedResources, why: str) -> SharedResources:
        self._log.error("not reloaded: the previous settings stay", why=why)
        former.heartbeats.note_not_reloaded()
        return former

    def _wait_for_start(self, shared: SharedResources, pids: list[int]) -> bool:
        """Wait until a new worker beats; return whether one did.

        Return false after START_SECONDS, after a stop signal, or if all new workers have ended.
        """
        deadline = time.monotonic() + START_SECONDS
        while not shared.heartbeats.was_ever_alive():
            is_over = time.monotonic() > deadline or signal.sigpending() & set(self._ends)
            if is_over or all(map(_has_ended, pids)):
                return False
            time.sleep(POLL)
        return True

    def _reap(self) -> list[tuple[int, int, int]]:
        """Return process id, number and exit code (negative: a signal) of children that ended."""
        dead = []
        while self._children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            # The first process of a container also inherits the children of other processes.
            self._silences.pop(pid, None)
            if (number := self._children.pop(pid, None)) is not None:
                dead.append((pid, number, os.waitstatus_to_exitcode(status)))
        return dead

    def _drain(self, shared: SharedResources) -> None:
        self._log.info("stopping", wait=DRAIN)
        # The kernel refuses new clients as soon as the workers have closed these sockets too.
        shared.pulls.close()
        shared.console.close()
        self._end_children(GRACE)

    def _end_children(self, grace: float) -> None:
        """Stop all children, and kill those that still run after `grace` seconds.

        A stop signal ends the wait.
        """
        for pid in self._children:
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + grace
        while self._children and (left := deadline - time.monotonic()) > 0:
            received = signal.sigtimedwait(WATCHED, left)
            self._reap()
            # A second stop signal: no more waiting. SIGHUP may come twice when a terminal is
            # closed: from the kernel and from the shell.
            if received is not None and received.si_signo in _ENDS:
                self._is_stopping = True
                break
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)
        while self._children:
            pid, _ = os.waitpid(-1, 0)
            self._children.pop(pid, None)


def _run_and_exit(body: Coroutine[Any, Any, None]) -> NoReturn:
    """Run `body` in a child process, then exit without running the parent's clean-up code."""
    # A terminal sends these to all of its processes. Only the supervisor decides what SIGHUP means,
    # and it sends SIGTERM after Ctrl-C: an interrupt while the event loop is made prints a trace.
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, WATCHED)
    code = 1
    try:
        asyncio.run(body)
        code = 0
    except CatalogLost:
        code = CATALOG_LOST
    except EntrepotError as error:
        get_logger("registry.server.master").error("cannot run", why=str(error))
    except BaseException:  # noqa: BLE001 - the last place before _exit: nothing is re-raised
        get_logger("registry.server.master").exception("crashed")
    finally:
        os._exit(code)


def _has_ended(pid: int) -> bool:
    """Whether a child has ended; this does not reap the child."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
