"""Tasks that go on after the request that started them has ended, turns, and calls in threads."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from contextlib import suppress
from typing import Any, ParamSpec, Self, TypeVar

from registry.logs import get_logger

T = TypeVar("T")
P = ParamSpec("P")


class Tasks:
    """Owns tasks until they end; the end of the `async with` block cancels those that still run."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()
        self._shared: dict[Hashable, asyncio.Task[Any]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start a task; a caller that awaits the task has to use `asyncio.shield`."""
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        # Reads the exception: asyncio would log it if all callers have been cancelled.
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return task

    def keep(self, work: Coroutine[Any, Any, None]) -> None:
        """Start a task that runs until it is cancelled; log the error if it fails before."""
        self.start(work).add_done_callback(_report_failure)

    def share(self, key: Hashable, begin: Callable[[], Coroutine[Any, Any, T]]) -> asyncio.Task[T]:
        """Return the running task with this key; start it with `begin` if there is none."""
        task = self._shared.get(key)
        if task is None or task.done():
            task = self._shared[key] = self.start(begin())
            task.add_done_callback(lambda done: self._forget(key, done))
        return task

    def _forget(self, key: Hashable, task: asyncio.Task[Any]) -> None:
        # The callbacks of a task run some time after its end: another one may have begun since.
        if self._shared.get(key) is task:
            del self._shared[key]

    def is_running(self, key: Hashable) -> bool:
        """Whether a task with this key is running, so that `share` would start none."""
        task = self._shared.get(key)
        return task is not None and not task.done()


def _report_failure(task: asyncio.Task[Any]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log = get_logger("registry.tasks")
        log.error("a task that should not end has failed", exc_info=error)


class Waiters:
    """Those that wait until somebody lets them go on, the oldest first."""

    def __init__(self) -> None:
        self._waiting: dict[asyncio.Future[None], None] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def join(self) -> asyncio.Future[None]:
        """Return a new last one, to be waited for with `wait`."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting[turn] = None
        return turn

    def let_go(self) -> None:
        """Let the oldest one go on; there has to be one."""
        turn = next(iter(self._waiting))
        del self._waiting[turn]
        turn.set_result(None)

    async def wait(
        self, turn: asyncio.Future[None], seconds: float, give_back: Callable[[], None]
    ) -> bool:
        """Wait at most `seconds` for a turn of `join`; return whether it has come.

        If the caller is cancelled in the moment when it comes, `give_back` is called.
        """
        is_kept = False
        try:
            await asyncio.wait((turn,), timeout=seconds)
            is_kept = True
        finally:
            self._waiting.pop(turn, None)
            if turn.done() and not is_kept:
                give_back()
        return turn.done()


async def in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run blocking `work` in a thread; if cancelled, wait until the work is over, and then raise.

    This holds however often the caller is cancelled meanwhile.

    Otherwise the caller could close a descriptor during a write, and the write could go to another
    file that gets the same number.
    """
    running = asyncio.ensure_future(asyncio.to_thread(work, *args, **kwargs))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        while not running.done():
            with suppress(asyncio.CancelledError):  # cancelled once more
                await asyncio.wait([running])
        running.exception()  # reads it: asyncio would log an exception that nobody has read
        raise
