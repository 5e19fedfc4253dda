"""`entrepot status`: whether all is well, and what the mirror does."""

import time
from typing import TYPE_CHECKING

from registry import __version__
from registry.cli.console_question import ask_whether_ready
from registry.cli.session import Config, Json, Session, operate

if TYPE_CHECKING:
    from registry.reports.status import Status


def show_status(config: Config = None, as_json: Json = False) -> None:
    """Show whether all is well, what was saved, the space, and the upstreams; exit 1 if not well.

    Example: entrepot status
    """

    async def work(session: Session) -> bool:
        # `serve` needs none of these, and starts faster without them.
        from registry.cli.printing import print_report  # noqa: PLC0415
        from registry.cli.status_text import draw_status  # noqa: PLC0415

        status = await _read(session)
        print_report(status, draw_status, as_json=as_json)
        return status.well

    operate(config, work)


async def _read(session: Session) -> "Status":
    from registry.content.server_state import read_server_state  # noqa: PLC0415
    from registry.content.store_gauges import CLIENT_PERIOD  # noqa: PLC0415
    from registry.reports.status import StatusFacts, report_status  # noqa: PLC0415
    from registry.reports.traffic import MONTH  # noqa: PLC0415
    from registry.reports.upstream_states import report_upstreams  # noqa: PLC0415
    from registry.wiring.sources import list_endpoints  # noqa: PLC0415

    settings, monitoring = session.settings, session.content.monitoring
    server = read_server_state(monitoring.metrics)
    endpoints = {
        name: list_endpoints(name, upstream) for name, upstream in settings.upstreams.items()
    }
    limits = await monitoring.limits.list_all()
    clients, _ = await monitoring.pulls.count(time.time() - CLIENT_PERIOD)
    facts = StatusFacts(
        version=__version__,
        data=str(settings.storage.path),
        offline=settings.offline,
        unready="; ".join(filter(None, map(ask_whether_ready, server.consoles))),
        server=server,
        clients=clients,
        usage=await session.content.usage.take(),
        rows=await monitoring.traffic.read(MONTH),
        days=monitoring.traffic.list_days(MONTH),
        upstreams=report_upstreams(endpoints, server.endpoints, limits, time.time()),
    )
    return report_status(facts)
