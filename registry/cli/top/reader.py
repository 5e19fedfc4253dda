"""Reading what a mirror does, again and again."""

import time
from functools import partial

from registry.cli.console_question import ask_console
from registry.cli.session import Session
from registry.cli.status_reader import StatusReader
from registry.reports.console.downloads import DownloadWatch
from registry.reports.top import Look, Top, report_processes, report_top
from registry.wiring.running_downloads import find_downloads


class TopReader:
    """Reads the status, the downloads and the processes; rates are those since the last reading."""

    def __init__(self, session: Session) -> None:
        self._status = StatusReader(session)
        self._downloads = DownloadWatch(partial(find_downloads, session.settings.storage.path))
        self._former: Look | None = None

    async def read(self) -> Top:
        """Return what the mirror does at this moment.

        Raises:
            StoreError: the catalog refused.
        """
        status, now = await self._status.read(), time.monotonic()
        metrics = [(console, ask_console(console, "/metrics")) for console in self._status.consoles]
        look, former = Look(now, status), self._former
        self._former = look
        downloads = self._downloads.take(now)
        return report_top(former, look, downloads, report_processes(metrics))
