"""Reading the status of a mirror, once or again and again."""

import math
import time
from collections.abc import Sequence

from registry import __version__
from registry.cli.console_question import ask_whether_ready
from registry.cli.session import Session
from registry.content.server_state import read_server_state
from registry.content.store_gauges import CLIENT_PERIOD
from registry.content.usage import SpaceUse
from registry.reports.status import Status, StatusFacts, report_status
from registry.reports.traffic import MONTH
from registry.reports.upstream_states import report_upstreams
from registry.wiring.sources import list_endpoints

COUNTED = 60.0  # seconds for which it is not added up again what the used bytes are used for


class StatusReader:
    """Reads the status from the data folder, and from the consoles of the servers that use it."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._settings = session.settings
        self._endpoints = {
            name: list_endpoints(name, upstream)
            for name, upstream in session.settings.upstreams.items()
        }
        self._space: SpaceUse | None = None
        self._counted_at = -math.inf
        self.consoles: Sequence[str] = ()  # of the servers that ran at the last reading

    async def read(self) -> Status:
        """Return the status of this moment.

        Raises:
            StoreError: the catalog refused.
        """
        settings, monitoring = self._settings, self._session.content.monitoring
        server = read_server_state(monitoring.metrics)
        self.consoles = server.consoles
        limits = await monitoring.limits.list_all()
        clients, _ = await monitoring.pulls.count(time.time() - CLIENT_PERIOD)
        facts = StatusFacts(
            version=__version__,
            data=str(settings.storage.path),
            offline=settings.offline,
            unready="; ".join(filter(None, map(ask_whether_ready, server.consoles))),
            server=server,
            clients=clients,
            usage=await self._measure(),
            rows=await monitoring.traffic.read(MONTH),
            days=monitoring.traffic.list_days(MONTH),
            upstreams=report_upstreams(self._endpoints, server.endpoints, limits, time.time()),
        )
        return report_status(facts)

    async def _measure(self) -> SpaceUse:
        usage, now = self._session.content.usage, time.monotonic()
        if self._space is None or now - self._counted_at > COUNTED:
            self._space = usage.look(await usage.add_up())
            self._counted_at = now
        else:
            self._space = usage.look(self._space.use)
        return self._space
