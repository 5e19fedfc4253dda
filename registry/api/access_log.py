"""One line in the log and one more in the counters for each answer."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import structlog

from registry.metrics import Metrics

BROKEN = 500  # what aiohttp answers to a mistake of ours, which it logs with its trace

# Tells of one answer more: to whom (an address), and in how many seconds.
Tell = Callable[[str | None, float], None]


@dataclass(frozen=True, slots=True)
class Report:
    """What is told of an answer, but for who got it and how long it took; `sent` is in bytes."""

    method: str
    path: str
    namespace: str
    agent: str
    kind: str
    status: int
    origin: str
    sent: int
    failure: str


class AccessLog:
    """Logs and counts answers."""

    def __init__(self, metrics: Metrics) -> None:
        self._log = structlog.get_logger("registry.api").bind()
        self._sent_bytes = metrics.sent_bytes
        # Only labels from our own vocabulary: whatever a client sends must not fill the memory.
        self._count = cache(metrics.requests.labels)
        self._time = cache(metrics.request_seconds.labels)

    def prepare(self, report: Report) -> Tell:
        """Return what tells of such an answer, as often as it is given.

        All that is the same each time is looked up here: that takes as long as the telling.
        """
        texts = {
            "method": report.method,
            "path": report.path[:300],
            "ns": report.namespace[:100],
            "origin": report.origin,
            "agent": report.agent[:100],
            "failure": report.failure[:300],
        }
        said = {name: text for name, text in texts.items() if text}
        log = self._log.bind(**said, status=report.status, bytes=report.sent)
        write = log.warning if report.failure and report.status >= BROKEN else log.info
        count = self._count(report.kind, str(report.status), report.origin).inc
        observe = self._time(report.kind).observe

        def tell(client: str | None, seconds: float) -> None:
            count()
            observe(seconds)
            self._sent_bytes.inc(report.sent)
            write("request", client=client, seconds=round(seconds, 4))

        return tell
