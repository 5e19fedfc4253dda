"""The access log: each answer gives one line in the log, and is counted in the metrics.

With `access.records`, it is recorded too (access/records.py).
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from aiohttp import web

from registry.access.record_collector import RecordCollector
from registry.access.records import AnswerFacts
from registry.access.shown_addresses import ShowAddress, show_whole
from registry.logs import WriteLine, prepare_lines
from registry.metrics.process_metrics import Metrics, find_inc, find_observe
from registry.oci.client_tools import ClientVisit, find_shape, parse_tool
from registry.oci.names import Tag
from registry.oci.probe_tags import read_probe
from registry.oci.token_texts import mask_texts, mask_tokens

CLIENT_CLOSED_REQUEST = 499  # what nginx logs for a client that did not wait for its answer
SERVER_ERROR = 500  # status of aiohttp's answer when our code raises; aiohttp logs the error

NoteUse = Callable[[str], None]
NoteVisit = Callable[[ClientVisit], Callable[[str], None]]

_MAX_PATH = 600  # characters; those of the longest name and digest are 405
_MAX_FAILURE = 1000  # characters; an error may name the answers of several endpoints
_MANIFESTS = "manifests"  # the kind of the endpoint
_MAX_METHOD = 20  # characters; a client may invent methods


@dataclass(frozen=True, slots=True)
class AccessEntry:
    """The facts about an answer that are logged, except the client and the seconds that it took.

    `namespace` is the value of `ns`, `host` the name in the header Host, `kind` the endpoint,
    `origin` the cache status, `sent` the length of the body in bytes, `failure` the message of an
    error, `repository` the repository with its registry, `reference` a tag or digest, `user` the
    name of who asked, `proof` how that was proved, and `rule` the rule that decided; a text is
    empty if the answer has no such fact.
    `is_refused` says that the client was not let through. `is_counted` says that the bytes of the
    body are in the metrics already. `size` is how many bytes the content has of which the client
    did not wait for the end; otherwise it is 0.
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
    reference: str = ""
    user: str = ""
    proof: str = ""
    rule: str = ""
    is_refused: bool = False
    is_counted: bool = False
    size: int = 0
    host: str = ""


class AccessLog:
    """Writes a log line for each answer, counts it in the metrics, and records it."""

    def __init__(
        self,
        metrics: Metrics,
        show_address: ShowAddress = show_whole,
        records: RecordCollector | None = None,
        note_use: NoteUse | None = None,
        note_visit: NoteVisit | None = None,
    ) -> None:
        """Without `records`, nothing is recorded.

        `note_use` is told the name of who has asked; of what is recorded, the records tell it.
        `note_visit` gets the facts of a request for a manifest, and returns what notes its clients.
        """
        self._note_visit = note_visit
        self.show_address = show_address
        self._note_use = note_use
        self._records = records
        # The labels have few values, whatever clients send, so these caches stay small.
        self._count = cache(lambda *labels: find_inc(metrics.requests.labels(*labels)))
        seconds, first = metrics.request_seconds, metrics.first_byte_seconds
        self._time = cache(lambda kind: find_observe(seconds.labels(kind)))
        self._time_first = cache(lambda *labels: find_observe(first.labels(*labels)))
        # What counts the bytes of a body, by the kind of the request and the cache status.
        self.find_sent = cache(lambda *labels: find_inc(metrics.sent_bytes.labels(*labels)))

    def write_refusal(self, client: str | None, response: web.Response, why: str) -> None:
        """Log and count the answer to bytes that are not a request, and that are not logged."""
        length = response.content_length or 0
        self.write(
            AccessEntry("", "", "", "", "other", response.status, "", length, why), client, 0
        )

    def write(self, entry: AccessEntry, client: str | None, seconds: float) -> None:
        """Log and count one answer."""
        self.prepare(entry).add(client, [seconds], entry.sent)

    def prepare(self, entry: AccessEntry) -> "AnswerLog":
        """Return what logs and counts answers like `entry`.

        What is the same for all of them is computed here, once: that takes as long as the logging.
        """
        shown = mask_texts(
            path=entry.path, ns=entry.namespace, agent=entry.agent, failure=entry.failure
        )
        facts = {
            "method": entry.method,
            "path": shown["path"][:_MAX_PATH],
            "repository": entry.repository,
            "user": entry.user,
            "rule": entry.rule,
            "ns": shown["ns"][:100],
            "origin": entry.origin,
            "agent": shown["agent"][:100],
            "failure": shown["failure"][:_MAX_FAILURE],
            "size": entry.size,
        }
        fields = {name: value for name, value in facts.items() if value} | {"status": entry.status}
        is_error = entry.failure and entry.status >= SERVER_ERROR
        return AnswerLog(
            prepare_lines("request", logging.WARNING if is_error else logging.INFO, **fields),
            self._count(entry.kind, str(entry.status), entry.origin),
            self._time(entry.kind),
            self._prepare_first(entry),
            None if entry.is_counted else self.find_sent(entry.kind, entry.origin),
            self.show_address,
            self._prepare_record(entry),
            self._prepare_visit(entry),
        )

    def _prepare_first(self, entry: AccessEntry) -> Callable[[Sequence[float]], None] | None:
        """Return what notes when answers began; None for those without content."""
        if not entry.origin:
            return None
        return self._time_first(entry.kind, entry.origin)

    def _prepare_record(self, entry: AccessEntry) -> Callable[[str | None, int, int], None] | None:
        """Return what records answers like `entry`; None for those that are not recorded."""
        if self._records is None or not (entry.repository or entry.is_refused):
            return self._prepare_use(entry.user)
        facts = AnswerFacts(
            entry.user,
            entry.proof,
            entry.method[:_MAX_METHOD],
            entry.kind,
            entry.repository,
            entry.reference,
            entry.status,
            entry.is_refused,
            entry.rule,
            entry.origin,
        )
        return self._records.prepare(facts).add

    def _prepare_visit(self, entry: AccessEntry) -> Callable[[str], None] | None:
        """Return what notes the clients of answers like `entry`, if these are about a manifest."""
        if self._note_visit is None or entry.kind != _MANIFESTS or not entry.repository:
            return None
        is_digest = ":" in entry.reference
        if not is_digest and read_probe(Tag(entry.reference)):
            return None  # `entrepot doctor` asks, and no client has got an error
        sign = "@" if is_digest else ":"
        visit = ClientVisit(
            parse_tool(entry.agent),
            find_shape(entry.path, entry.namespace, entry.host, entry.repository),
            f"{entry.repository}{sign}{entry.reference}",
            entry.status,
            entry.origin,
        )
        return self._note_visit(visit)

    def _prepare_use(self, user: str) -> Callable[[str | None, int, int], None] | None:
        """Return what only notes that a user has asked; such as a login, which pulls nothing."""
        note = self._note_use
        return None if note is None or not user else lambda *_: note(user)


@dataclass(frozen=True, slots=True)
class AnswerLog:
    """Logs, counts and records answers that differ only in their clients, seconds and bytes."""

    _write: WriteLine
    _count: Callable[[float], None]
    _observe: Callable[[Sequence[float]], None]
    _observe_first: Callable[[Sequence[float]], None] | None
    _count_sent: Callable[[float], None] | None
    _show_address: ShowAddress
    _record: Callable[[str | None, int, int], None] | None
    _note_visit: Callable[[str], None] | None = None

    def add(
        self,
        client: str | None,
        seconds: Sequence[float],
        sent: int,
        first: Sequence[float] | None = None,
    ) -> None:
        """Log, count and record answers to the address `client`, with `sent` bytes in each body.

        `seconds` has how long each of them took, and `first` after how many seconds each of them
        began; None: they were written at once.
        """
        client = self._show_address(client)
        if self._record is not None:
            self._record(client, len(seconds), len(seconds) * sent)
        if self._note_visit is not None and client:
            self._note_visit(client)
        self._count(len(seconds))
        self._observe(seconds)
        if self._observe_first is not None:
            self._observe_first(seconds if first is None else first)
        if self._count_sent is not None:
            self._count_sent(len(seconds) * sent)
        times: dict[float, int] = {}
        for each in seconds:
            rounded = round(each, 4)
            times[rounded] = times.get(rounded, 0) + 1
        for rounded, count in times.items():
            self._write(count, bytes=sent, client=client, seconds=rounded)


def cut_path(path: str) -> str:
    """Return the path of a request as it is logged, by which the lines of a request are matched."""
    return mask_tokens(path)[:_MAX_PATH]
