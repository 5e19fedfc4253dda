"""What takes long to add up: nobody waits for it but who asks first."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from registry.catalog.image_pages import ImageFilter, NamedRow
from registry.catalog.usage import UsageTotals
from registry.reports.console.images import ImageQuery, sort_names

FRESH = 2.0  # seconds for which they are not added up again; more if that takes long
SHOWN_LARGEST = 8
LONGEST_SHARE = 0.05  # of the time that may be spent on adding up
PATIENCE = 0.2  # seconds that the first page waits for them


@dataclass(frozen=True, slots=True)
class LargeImage:
    """An image that uses much of the space: its name, and its stored bytes.

    `former` is the tag that has led to an image which has no tag now; "" if that is not known.
    """

    name: str
    size: int
    former: str = ""


@dataclass(frozen=True, slots=True)
class Totals:
    """For what the used bytes are used, and how many bytes are stored below each manifest."""

    use: UsageTotals
    sizes: Mapping[str, int]
    largest: Sequence[LargeImage]


class StoreTotals:
    """Adds up in the background; pages show what was added up last."""

    def __init__(
        self,
        break_down: Callable[[], Awaitable[UsageTotals]],
        list_sizes: Callable[[], Awaitable[Mapping[str, int]]],
        list_names: Callable[[ImageFilter], Awaitable[Sequence[NamedRow]]],
    ) -> None:
        self.latest: Totals | None = None
        self._break_down = break_down
        self._list_sizes = list_sizes
        self._list_names = list_names
        self._fresh_until = 0.0
        self._running: asyncio.Task[Totals] | None = None

    async def take(self) -> Totals | None:
        """Return what was added up last; None if nothing was, and it takes long."""
        is_first = self._running is None
        running = self._begin()
        if running is not None and is_first:
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
        use, sizes = await self._break_down(), await self._list_sizes()
        largest = _find_largest(await self._list_names(ImageFilter()), sizes)
        self.latest = Totals(use, sizes, largest)
        took = time.monotonic() - began
        self._fresh_until = time.monotonic() + max(FRESH, took / LONGEST_SHARE)
        return self.latest


def _find_largest(names: Sequence[NamedRow], sizes: Mapping[str, int]) -> list[LargeImage]:
    """Return the largest images, each under one of its names."""
    found = sort_names(names, ImageQuery(sort="size"), sizes)
    largest: dict[str, LargeImage] = {}
    for key, row in found:
        if key:
            largest.setdefault(row.digest, LargeImage(row.name, int(-key), row.former))
    return list(largest.values())[:SHOWN_LARGEST]
