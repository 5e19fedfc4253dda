"""What takes long to add up, kept for a minute: nobody waits for it but who asks first."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from registry.catalog.usage import UsageTotals

FRESH = 60.0  # seconds for which they are not added up again
LONGEST_SHARE = 0.05  # of the time that may be spent on adding up
PATIENCE = 0.05  # seconds that a page waits for the first ones


@dataclass(frozen=True, slots=True)
class Totals:
    """For what the used bytes are used, and how many bytes are stored below each manifest."""

    use: UsageTotals
    sizes: Mapping[str, int]


class StoreTotals:
    """Adds up in the background; pages show what was added up last."""

    def __init__(
        self,
        break_down: Callable[[], Awaitable[UsageTotals]],
        list_sizes: Callable[[], Awaitable[Mapping[str, int]]],
    ) -> None:
        self.latest: Totals | None = None
        self._break_down = break_down
        self._list_sizes = list_sizes
        self._fresh_until = 0.0
        self._running: asyncio.Task[Totals] | None = None

    async def take(self) -> Totals | None:
        """Return what was added up last; None if nothing was, and it takes long."""
        running = self._begin()
        if running is not None and self.latest is None:
            await asyncio.wait([running], timeout=PATIENCE)
        return self.latest

    async def wait(self) -> Totals:
        """Return what was added up last; wait for the first time.

        Raises:
            StoreError: the catalog refused.
        """
        running = self._begin()
        if self.latest is not None or running is None:
            return self.latest or await self._add_up()
        return await asyncio.shield(running)

    def _begin(self) -> "asyncio.Task[Totals] | None":
        if self._running is not None and not self._running.done():
            return self._running
        if self.latest is not None and time.monotonic() < self._fresh_until:
            return None
        self._running = asyncio.create_task(self._add_up())
        # Reads the error: a page that does not wait shows what was added up before.
        self._running.add_done_callback(lambda done: done.cancelled() or done.exception())
        return self._running

    async def _add_up(self) -> Totals:
        began = time.monotonic()
        self.latest = Totals(await self._break_down(), await self._list_sizes())
        took = time.monotonic() - began
        self._fresh_until = time.monotonic() + max(FRESH, took / LONGEST_SHARE)
        return self.latest

    def close(self) -> None:
        """Stop adding up."""
        if self._running is not None:
            self._running.cancel()
