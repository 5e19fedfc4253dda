"""A disk that refuses, writes in part, or loses its machine, at a chosen operation."""

import errno
import fcntl
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Literal
from unittest import mock

Fault = Literal["crash", "refuse", "short"]


@dataclass(eq=False)
class Victim:
    """What the disk knows of one process: whether it still runs, and what it has locked."""

    is_dead: bool = False
    locks: set[int] = field(default_factory=set)
    hung: "list[Future[Any]]" = field(default_factory=list)


RUNNING: ContextVar[Victim | None] = ContextVar("running", default=None)


class _Crash(BaseException):
    """The process does not come back from this operation."""


class FaultyDisk:
    """Stands between `os` and the processes of a test, as long as it is open.

    Only what is done in threads can be made to fail: everything else takes no time.
    """

    def __init__(self) -> None:
        self.is_full = False
        self._victims: list[Victim] = []
        self._armed: tuple[Fault, Victim | None] | None = None
        self._countdown = 0
        self._depth = 0
        self._patches = [
            mock.patch("os.pwritev", self._wrap_write(os.pwritev)),
            mock.patch("os.fsync", self._wrap(os.fsync)),
            mock.patch("os.fchmod", self._wrap(os.fchmod)),
            mock.patch("os.replace", self._wrap(os.replace)),
            mock.patch("os.close", self._wrap_close(os.close)),
            mock.patch("fcntl.flock", self._wrap_lock(fcntl.flock)),
        ]

    def open(self) -> None:
        """Take effect."""
        for patch in self._patches:
            patch.start()

    def close(self) -> None:
        """Be a plain disk again."""
        self.disarm()
        for patch in self._patches:
            patch.stop()

    def add(self) -> Victim:
        """Know one more process."""
        victim = Victim()
        self._victims.append(victim)
        return victim

    def arm(self, fault: Fault, operations: int, victim: Victim | None = None) -> None:
        """Let the n-th operation from here (of this process, else of any) go wrong."""
        self._armed, self._countdown = (fault, victim), operations

    def disarm(self) -> None:
        """Let nothing go wrong any more."""
        self._armed = None

    def execute(self, work: Callable[[], Any], future: "Future[Any]") -> None:
        """Run what a process does in a thread; one that is dead, or dies of it, never returns."""
        victim = RUNNING.get()
        if victim is not None and victim.is_dead:
            victim.hung.append(future)
            return
        self._depth += 1
        try:
            result = work()
            self._maybe_crash()
        except _Crash:
            assert victim is not None
            victim.is_dead = True
            victim.hung.append(future)
        except Exception as error:  # noqa: BLE001 - the task that awaits the thread gets it
            future.set_exception(error)
        else:
            future.set_result(result)
        finally:
            self._depth -= 1

    def kill(self, victim: Victim) -> None:
        """Do what the kernel does when a process is gone: free its locks."""
        victim.is_dead = True
        for descriptor in victim.locks:
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        victim.locks.clear()

    def _maybe_crash(self) -> None:
        if self._strikes() == "crash":
            raise _Crash

    def _strikes(self) -> Fault | None:
        if self._armed is None or not self._depth:
            return None
        fault, victim = self._armed
        if victim is not None and victim is not RUNNING.get():
            return None
        self._countdown -= 1
        if self._countdown > 0:
            return None
        self.disarm()
        return fault

    def _wrap(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            match self._strikes():
                case "crash":
                    raise _Crash
                case "refuse":
                    raise OSError(errno.EIO, os.strerror(errno.EIO))
            return real(*args, **kwargs)

        return call

    def _wrap_write(self, real: Callable[..., int]) -> Callable[..., int]:
        def write(descriptor: int, pieces: Sequence[memoryview], offset: int) -> int:
            fault = self._strikes()
            if self.is_full and RUNNING.get() is not None:
                fault = "refuse"
            if fault is None:
                return real(descriptor, pieces, offset)
            if fault == "refuse":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            joined = b"".join(pieces)
            written = real(descriptor, [joined[: (len(joined) + 1) // 2]], offset)
            if fault == "crash":
                raise _Crash
            return written

        return write

    def _wrap_close(self, real: Callable[[int], None]) -> Callable[[int], None]:
        def close(descriptor: int) -> None:
            for victim in self._victims:
                victim.locks.discard(descriptor)
            real(descriptor)

        return close

    def _wrap_lock(self, real: Callable[[int, int], None]) -> Callable[[int, int], None]:
        def lock(descriptor: int, operation: int) -> None:
            real(descriptor, operation)
            victim = RUNNING.get()
            if victim is not None and operation & fcntl.LOCK_EX:
                victim.locks.add(descriptor)

        return lock
