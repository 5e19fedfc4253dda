"""When a prefetch runs: at a time of the day or every few hours, by one server of a data folder."""

import asyncio
import math
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime, timedelta
from typing import Any

from registry.catalog.prefetch_runs import PrefetchCatalog
from registry.errors import EntrepotError, StoreError
from registry.logs import get_logger
from registry.settings.prefetch import PrefetchSettings
from registry.store.file_locks import ExclusiveLocks

CHECK = 60.0  # seconds between two looks at the clock, which may be set
LOCK = "prefetch"
LOCK_WAIT = 1.0  # seconds to wait for another server that prefetches; then it is tried again later


def find_next(prefetch: PrefetchSettings, last: float | None, now: float) -> float:
    """Return when a prefetch is due that last ran at `last` (None: never). Pure.

    Times are in epoch seconds. A run that was missed is due at once, and only once. If `last` is in
    the future, the clock was wrong then.
    """
    if prefetch.minute is None:
        return now if last is None else min(last, now) + prefetch.every
    return _find_daily(prefetch.minute, now if last is None else min(last, now))


def _find_daily(minute: int, after: float) -> float:
    """Return the first time after a moment at which it is this minute of the day, local time."""
    day = datetime.fromtimestamp(after)  # noqa: DTZ006 - the local time of the server
    at = day.replace(hour=minute // 60, minute=minute % 60, second=0, microsecond=0, fold=0)
    if at.timestamp() <= after:
        at += timedelta(days=1)
    return at.timestamp()


class PrefetchSchedule:
    """Runs each prefetch when it is due; `clock` gives epoch seconds.

    `run` downloads the images of one prefetch, and returns facts for the log. Its errors do not end
    the schedule. One prefetch runs at a time, over all servers of the data folder.
    """

    def __init__(
        self,
        prefetches: Sequence[PrefetchSettings],
        catalog: PrefetchCatalog,
        locks: ExclusiveLocks,
        run: Callable[[PrefetchSettings], Coroutine[Any, Any, dict[str, object]]],
        clock: Callable[[], float],
    ) -> None:
        self._prefetches = prefetches
        self._catalog = catalog
        self._locks = locks
        self._run = run
        self._clock = clock
        self._told: dict[str, float] = {}
        self._log = get_logger("registry.mirror")

    async def keep_running(self) -> None:
        """Run what is due until cancelled; log when each prefetch is due, also at the start."""
        while True:
            wait = CHECK
            try:
                await self.plan()
                following = await self.run_due()
                await self.plan()
                wait = min(wait, following - self._clock())
            except StoreError as error:
                self._log.error("prefetch not planned", why=str(error))
            await asyncio.sleep(max(1.0, wait))

    async def plan(self) -> None:
        """Log when each prefetch is due, if that has changed.

        Those that are new and run at a time of the day are recorded, so that no run is missed.

        Raises:
            StoreError: the catalog refused.
        """
        for prefetch in self._prefetches:
            if prefetch.at and self._catalog.find(prefetch.name) is None:
                await self._catalog.record(prefetch.name, self._clock())
            due = self._find_next(prefetch)
            if self._told.get(prefetch.name) != due and due > self._clock():
                self._told[prefetch.name] = due
                self._log.info("prefetch planned", name=prefetch.name, next=_format(due))

    async def run_due(self) -> float:
        """Run each prefetch that is due; return when the next one is (epoch seconds).

        Raises:
            StoreError: the catalog cannot be read.
        """
        following = math.inf
        for prefetch in self._prefetches:
            if self._find_next(prefetch) <= self._clock():
                await self._run_locked(prefetch)
            following = min(following, self._find_next(prefetch))
        return following

    def _find_next(self, prefetch: PrefetchSettings) -> float:
        return find_next(prefetch, self._catalog.find(prefetch.name), self._clock())

    async def _run_locked(self, prefetch: PrefetchSettings) -> None:
        try:
            async with self._locks.hold(LOCK, LOCK_WAIT):
                # Another server may have run it meanwhile.
                if self._find_next(prefetch) <= self._clock():
                    await self._run_one(prefetch)
        except StoreError as error:
            self._log.info("prefetch waits", name=prefetch.name, why=str(error))

    async def _run_one(self, prefetch: PrefetchSettings) -> None:
        began = self._clock()
        try:
            facts = await self._run(prefetch)
        except (EntrepotError, OSError) as error:
            facts = {"why": str(error)}
            self._log.error("prefetch failed", name=prefetch.name, **facts)
        else:
            facts = {"seconds": round(self._clock() - began, 1), **facts}
            self._log.info("prefetch done", name=prefetch.name, **facts)
        # A run that was interrupted is not recorded, so it is continued at the next start.
        await self._catalog.record(prefetch.name, self._clock(), facts)


def _format(moment: float) -> str:
    return datetime.fromtimestamp(moment).astimezone().isoformat(timespec="seconds")
