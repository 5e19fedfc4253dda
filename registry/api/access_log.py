"""The access log: each answer gives one line in the log, and is counted in the metrics."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from aiohttp import web

from registry.logs import get_logger
from registry.metrics.process_metrics import Metrics

SERVER_ERROR = 500  # status of aiohttp's answer when our code raises; aiohttp logs the error

_MAX_PATH = 600  # characters; those of the longest name and digest are 405
_MAX_FAILURE = 1000  # characters; an error may name the answers of several endpoints

# Logs and counts one more answer of the same kind. The arguments are the address of the client,
# and the seconds that the answer took.
LogAnswer = Callable[[str | None, float], None]


@dataclass(frozen=True, slots=True)
class AccessEntry:
    """The facts about an answer that are logged, except the client and the seconds that it took.

    `namespace` is the value of `ns`, `kind` the endpoint, `origin` the cache status, `sent` the
    length of the body in bytes, `failure` the message of an error, `repository` the repository with
    its registry; a text is empty if the answer has no such fact. `is_counted` says that the bytes
    of the body are in the metrics already. `size` is how many bytes the content has of which the
    client did not wait for the end; otherwise it is 0.
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
    repository: str = ""
    is_counted: bool = False
    size: int = 0


class AccessLog:
    """Writes a log line for each answer, and counts it in the metrics."""

    def __init__(self, metrics: Metrics) -> None:
        self._log = get_logger("registry.api").bind()
        # The labels have few values, whatever clients send, so these caches stay small.
        self._count = cache(metrics.requests.labels)
        self._time = cache(metrics.request_seconds.labels)
        self._sent = cache(metrics.sent_bytes.labels)

    def count_sent(self, origin: str, count: int) -> None:
        """Count bytes of a body that is being sent; `origin` is the cache status."""
        self._sent(origin).inc(count)

    def write_refusal(self, client: str | None, response: web.Response, why: str) -> None:
        """Log and count the answer to bytes that are not a request, and that are not logged."""
        length = response.content_length or 0
        self.write(
            AccessEntry("", "", "", "", "other", response.status, "", length, why), client, 0
        )

    def write(self, entry: AccessEntry, client: str | None, seconds: float) -> None:
        """Log and count one answer."""
        self.prepare(entry)(client, seconds)

    def prepare(self, entry: AccessEntry) -> LogAnswer:
        """Return a function that logs and counts an answer like `entry` each time it is called.

        What is the same for all calls is computed here, once: that takes as long as the logging.
        """
        facts = {
            "method": entry.method,
            "path": cut_path(entry.path),
            "repository": entry.repository,
            "ns": entry.namespace[:100],
            "origin": entry.origin,
            "agent": entry.agent[:100],
            "failure": entry.failure[:_MAX_FAILURE],
            "size": entry.size,
        }
        fields = {name: value for name, value in facts.items() if value}
        log = self._log.bind(**fields, status=entry.status, bytes=entry.sent)
        write = log.warning if entry.failure and entry.status >= SERVER_ERROR else log.info
        count = self._count(entry.kind, str(entry.status), entry.origin).inc
        observe = self._time(entry.kind).observe
        count_sent = self._sent(entry.origin).inc
        uncounted = 0 if entry.is_counted else entry.sent

        def log_answer(client: str | None, seconds: float) -> None:
            count()
            observe(seconds)
            count_sent(uncounted)
            write("request", client=client, seconds=round(seconds, 4))

        return log_answer


def cut_path(path: str) -> str:
    """Return the path of a request as it is logged, by which the lines of a request are matched."""
    return path[:_MAX_PATH]
