"""The access log: each answer gives one line in the log, and is counted in the metrics."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import structlog

from registry.metrics import Metrics

SERVER_ERROR = 500  # status of aiohttp's answer when our code raises; aiohttp logs the error

# Logs and counts one more answer of the same kind. The arguments are the address of the client,
# and the seconds that the answer took.
LogAnswer = Callable[[str | None, float], None]


@dataclass(frozen=True, slots=True)
class AccessEntry:
    """The facts about an answer that are logged, except the client and the seconds that it took.

    `namespace` is the value of `ns`, `kind` the endpoint, `origin` the cache status, `sent` the
    length of the body in bytes, `failure` the message of an error; a text is empty if the answer
    has no such fact.
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
    """Writes a log line for each answer, and counts it in the metrics."""

    def __init__(self, metrics: Metrics) -> None:
        self._log = structlog.get_logger("registry.api").bind()
        self._sent_bytes = metrics.sent_bytes
        # The labels have few values, whatever clients send, so these caches stay small.
        self._count = cache(metrics.requests.labels)
        self._time = cache(metrics.request_seconds.labels)

    def write(self, entry: AccessEntry, client: str | None, seconds: float) -> None:
        """Log and count one answer."""
        self.prepare(entry)(client, seconds)

    def prepare(self, entry: AccessEntry) -> LogAnswer:
        """Return a function that logs and counts an answer like `entry` each time it is called.

        What is the same for all calls is computed here, once: that takes as long as the logging.
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
