"""Letting bytes land in the partial file: those that have come, and those that a thread receives.

A thread that receives tells readers of what has landed, before it returns to the event loop.
"""

import asyncio
import time
from collections.abc import Callable

from registry.content.ingest import Ingest
from registry.upstream.contract import Incoming

PORTION = 4 * 1024 * 1024  # bytes after which readers are told, while a thread receives
INTERVAL = 0.02  # seconds after which they are told of fewer bytes


async def land(
    batch: list[bytes] | Incoming,
    ingest: Ingest,
    notify: Callable[[], None],
    find_seconds: Callable[[], float],
) -> int:
    """Write a batch, and return its length in bytes; `notify` is called when bytes have landed.

    `find_seconds` returns for how many seconds a thread may receive.

    Raises:
        StoreError: as for `Ingest.append`.
    """
    if isinstance(batch, list):
        count = sum(map(len, batch))
        await ingest.append(batch)
    else:
        tell, seconds = _Teller(asyncio.get_running_loop(), notify), find_seconds()
        await ingest.receive(lambda sink: batch.receive(tell.wrap(sink), seconds))
        count = len(batch)
    notify()
    return count


class _Teller:
    """Lets the event loop call `notify` when enough bytes have landed, or after some time."""

    def __init__(self, loop: asyncio.AbstractEventLoop, notify: Callable[[], None]) -> None:
        self._loop = loop
        self._notify = notify
        self._untold = 0
        self._told_at = time.monotonic()

    def wrap(self, sink: Callable[[memoryview], None]) -> Callable[[memoryview], None]:
        """Return a function that passes pieces to `sink`, and tells of them; for one thread."""

        def pass_on(piece: memoryview) -> None:
            sink(piece)
            self._untold += len(piece)
            now = time.monotonic()
            if self._untold >= PORTION or now >= self._told_at + INTERVAL:
                self._untold, self._told_at = 0, now
                self._loop.call_soon_threadsafe(self._notify)

        return pass_on
