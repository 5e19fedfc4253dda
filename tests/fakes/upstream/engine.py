"""A thread with an event loop, in which other threads can run coroutines."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
PATIENCE = 20.0
TURNS = 8


class Engine:
    """Runs the servers, so that a test that blocks its own thread does not block them."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._halt: asyncio.Event | None = None
        self._ready = threading.Event()

    @property
    def running(self) -> bool:
        """Whether the thread was started and not stopped."""
        return self._loop is not None

    def start(self) -> None:
        """Start the thread and wait for its loop."""
        self._ready.clear()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._main()), name="fake-upstream", daemon=True
        )
        self._thread.start()
        self._ready.wait(PATIENCE)

    async def _main(self) -> None:
        self._halt = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._ready.set()
        await self._halt.wait()

    def stop(self) -> None:
        """Stop the loop, cancel its tasks, and join the thread."""
        if self._loop is None or self._thread is None or self._halt is None:
            return
        loop, self._loop = self._loop, None
        loop.call_soon_threadsafe(self._halt.set)
        self._thread.join(PATIENCE)

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the loop and wait for its result."""
        if self._loop is None:
            work.close()
            raise RuntimeError("not started yet: use `with FakeUpstream() as hub`")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    def settle(self) -> None:
        """Let the loop run the steps that are due, so that the journal is up to date."""
        if self._loop is not None and threading.current_thread() is not self._thread:
            self.call(_turn())


async def _turn() -> None:
    for _ in range(TURNS):
        await asyncio.sleep(0)
