"""Work that belongs to the mirror, not to the request that caused it."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Self, TypeVar

T = TypeVar("T")


class Tasks:
    """Owns tasks until they end; leaving the `async with` cancels and awaits the rest."""

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
        """Start work; whoever awaits the task should shield it."""
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        # Reading the exception here keeps "never retrieved" out of the log when all askers left.
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return task

    def share(self, key: Hashable, begin: Callable[[], Coroutine[Any, Any, T]]) -> asyncio.Task[T]:
        """Return the running work called `key`, beginning it if there is none."""
        task = self._shared.get(key)
        if task is None:
            task = self._shared[key] = self.start(begin())
            task.add_done_callback(lambda _: self._shared.pop(key, None))
        return task
