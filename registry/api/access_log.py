"""The access log: one line, and one more in the counters, for each answer."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import structlog

from registry.metrics import Metrics

SERVER_ERROR = 500  # what aiohttp answers to an exception of ours, which it logs with its trace

# Logs and counts one more answer of the same kind: for a client (its address), in some seconds.
LogAnswer = Callable[[str | None, float], None]


@dataclass(frozen=True, slots=True)
class AccessEntry:
    """What is logged of an answer, apart from the client and the seconds that it took.

    `namespace` is the value of `ns`, `kind` the endpoint, `origin` the cache status, `sent` the
    length of the body in bytes, `failure` the message of an error; empty where there is none.
    """

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
        # The labels are words of our own: what a client sends must not fill the memory.
        self._count = cache(metrics.requests.labels)
        self._time = cache(metrics.request_seconds.labels)

    def write(self, entry: AccessEntry, client: str | None, seconds: float) -> None:
        """Log and count one answer."""
        self.prepare(entry)(client, seconds)

    def prepare(self, entry: AccessEntry) -> LogAnswer:
        """Return a function that logs and counts such an answer each time it is called.

        Everything that is the same each time is computed here: that takes as long as the logging.
        """
        texts = {
            "method": entry.method,
            "path": entry.path[:300],
            "ns": entry.namespace[:100],
            "origin": entry.origin,
            "agent": entry.agent[:100],
            "failure": entry.failure[:300],
        }
        fields = {name: text for name, text in texts.items() if text}
        log = self._log.bind(**fields, status=entry.status, bytes=entry.sent)
        write = log.warning if entry.failure and entry.status >= SERVER_ERROR else log.info
        count = self._count(entry.kind, str(entry.status), entry.origin).inc
        observe = self._time(entry.kind).observe

        def log_answer(client: str | None, seconds: float) -> None:
            count()
            observe(seconds)
            self._sent_bytes.inc(entry.sent)
            write("request", client=client, seconds=round(seconds, 4))

        return log_answer
