"""What was answered and downloaded on each day, kept over restarts (decision record 0047).

The background process adds once a minute what the counters of all servers on the data folder have
counted since the last time. The counters of a server that has ended stay until that is done.
"""

import datetime as dt
from collections.abc import Callable
from pathlib import Path

from registry.catalog.days import DayCatalog, Totals
from registry.catalog.days import DayRow as DayRow  # noqa: PLC0414 (for reports)
from registry.content.served import total
from registry.metrics.collection import read_values
from registry.store.file_locks import ExclusiveLocks
from registry.store.run_folder import delete_ended, list_ended, list_running
from registry.tasks import in_thread

KEPT = 400  # days on which something was counted
_LOCK = "days"


class Traffic:
    """What was answered and downloaded on each day; `clock` returns epoch seconds.

    `metrics` is the folder that has a folder for each server.
    """

    def __init__(
        self,
        catalog: DayCatalog,
        metrics: Path,
        locks: ExclusiveLocks,
        clock: Callable[[], float],
    ) -> None:
        self._catalog = catalog
        self._metrics = metrics
        self._locks = locks
        self._clock = clock

    async def record(self) -> None:
        """Add to today what was counted since the last time, and delete counters of ended servers.

        Several processes may call this at the same time: one of them does it, then the next.

        Raises:
            StoreError, OSError: the catalog or the disk refused; it is added the next time.
        """
        async with self._locks.hold(_LOCK):
            await self._record()

    async def _record(self) -> None:
        # What is forgotten was deleted a minute ago: somebody may just have read it (`read`).
        gone = {*self._catalog.list_counted()} - {each.name for each in self._metrics.iterdir()}
        # They count nothing more, so what is read of them after this is complete.
        ended = list_ended(self._metrics)
        servers = await in_thread(_read, [*list_running(self._metrics), *ended])
        await self._catalog.add(self._find_day(0), servers, kept=KEPT)
        for folder in ended:
            delete_ended(folder)
        if gone:
            await self._catalog.forget(gone)

    async def read(self, days: int) -> list[DayRow]:
        """Return the rows of the last `days` days, also with what was not added yet.

        Raises:
            StoreError: the catalog or the disk refused.
        """
        folders = [*list_running(self._metrics), *list_ended(self._metrics)]
        servers = await in_thread(_read, folders)
        since = self._find_day(days - 1)
        return await self._catalog.read(self._find_day(0), servers, since=since)

    def list_days(self, days: int) -> list[str]:
        """Return the last `days` days; the last one is today."""
        return [self._find_day(ago) for ago in reversed(range(days))]

    def _find_day(self, ago: int) -> str:
        today = dt.datetime.fromtimestamp(self._clock()).astimezone().date()
        return (today - dt.timedelta(days=ago)).isoformat()


def _read(folders: list[Path]) -> dict[str, Totals]:
    return {folder.name: total(read_values([folder])) for folder in folders if folder.is_dir()}
