"""Answers that are sent again without aiohttp, with the same bytes (decision record 0013).

Many clients that pull the same image send requests with the same bytes. For a manifest that is in
memory, aiohttp's objects for request and response take longer to make than all other work.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web

from registry.access.surroundings import Surroundings
from registry.api.access_log import AccessEntry, AccessLog, AnswerLog
from registry.api.forwarding import FindCaller, use_connection
from registry.api.open_requests import OpenRequests
from registry.api.repeated_blobs import RepeatedBlobs
from registry.api.response_heads import BEFORE_DATE, Date, write_head
from registry.api.socket_writing import MayGoOn
from registry.mirror.kept_blobs import KeptBlob

MAX_REQUEST = 4096  # bytes of a request; longer ones are not remembered
MAX_BODY = 64 * 1024  # bytes of a body; longer ones are not remembered
LIMIT = 8 * 1024 * 1024  # bytes of requests and answers that one worker remembers
OVERHEAD = 4096  # bytes that an entry takes besides request and answer, roughly; mostly log fields
NOT_MODIFIED = 304


@dataclass(frozen=True, slots=True)
class SentAnswer:
    """An answer that has been sent; `log` is for each time that it is sent again.

    For the rest see `Notes` (middleware.py).
    """

    response: web.StreamResponse
    entry: AccessEntry
    log: AnswerLog
    is_current: Callable[[str | None], bool] | None
    kept: KeptBlob | None = None
    find_caller: FindCaller = use_connection
    may_go_on: MayGoOn | None = None


@dataclass(slots=True)
class _Repeats:
    """The address of a client, and how many seconds each answer to it has taken in this turn."""

    client: str | None
    seconds: list[float]


@dataclass(slots=True)
class _CachedResponse:
    """`head` has no `Date`, and no line ends after the headers.

    The rest is about this turn of the event loop: `answer` has all bytes; `repeated` has how many
    seconds each answer has taken, by the connection.
    """

    head: bytes
    body: bytes
    sent: int
    log: AnswerLog
    is_current: Callable[[str | None], bool]
    find_caller: FindCaller
    answer: bytes = b""
    repeated: dict[Surroundings, _Repeats] = field(default_factory=dict)

    def __len__(self) -> int:
        return OVERHEAD + len(self.head) + len(self.body)


class ResponseCache:
    """Answers, found by the bytes of their requests; all together have at most `limit` bytes.

    If they have more, the answers that were added first are removed, even if they are often sent.
    An answer takes no time in which others could come, so it does not count as a request in flight.
    Blobs do, as long as they are sent.
    """

    def __init__(
        self,
        access_log: AccessLog,
        limit: int = LIMIT,
        open_requests: OpenRequests | None = None,
    ) -> None:
        self.blobs = RepeatedBlobs(access_log, open_requests=open_requests)
        self._limit = limit
        self._used = 0
        self._responses: OrderedDict[bytes, _CachedResponse] = OrderedDict()
        self._in_turn: list[_CachedResponse] = []  # what was sent in this turn of the loop
        self._date = Date()

    def repeat(self, request: bytes, connection: Surroundings) -> bytes:
        """Return and log the answer to these bytes, which have to be exactly one request.

        Returns no bytes if there is no answer, or if the answer is not current any more.

        What the event loop reads in one turn came before the first of it was answered. So one look
        is enough for all requests of a client in one turn, and they are logged together at its end.
        The further ones take a microsecond, which is less than the log and the metrics show.
        """
        cached = self._responses.get(request)
        if cached is None:
            return b""
        repeated = cached.repeated.get(connection)
        if repeated is not None:
            repeated.seconds.append(0.0)
            return cached.answer
        began = time.monotonic()
        caller = cached.find_caller(connection)
        if caller is None or not cached.is_current(caller.address):
            self._remove(request)
            return b""
        if not cached.repeated:
            self._begin_turn(cached)
        cached.repeated[connection] = _Repeats(caller.address, [time.monotonic() - began])
        return cached.answer

    def _begin_turn(self, cached: _CachedResponse) -> None:
        if not self._in_turn:
            asyncio.get_running_loop().call_soon(self._end_turn)
        self._in_turn.append(cached)
        date = self._date.write()
        cached.answer = b"".join((cached.head, BEFORE_DATE, date, b"\r\n\r\n", cached.body))

    def _end_turn(self) -> None:
        in_turn, self._in_turn = self._in_turn, []
        for cached in in_turn:
            for each in cached.repeated.values():
                cached.log.add(each.client, each.seconds, cached.sent)
            cached.answer = b""
            cached.repeated.clear()

    def remember(self, request: bytes, answer: SentAnswer) -> None:
        """Remember the answer to these bytes, if it can be repeated."""
        response = answer.response
        if len(request) > MAX_REQUEST:
            return
        if answer.kept is not None:
            self.blobs.remember(
                request,
                response,
                answer.entry,
                answer.kept,
                find_caller=answer.find_caller,
                may_go_on=answer.may_go_on,
            )
        if answer.is_current is None or not isinstance(response, web.Response):
            return
        has_body = answer.entry.method == "GET" and response.status != NOT_MODIFIED
        body = response.body if has_body else b""
        if not isinstance(body, bytes) or len(body) > MAX_BODY:
            return
        self._remove(request)
        cached = _CachedResponse(
            write_head(response),
            body,
            answer.entry.sent,
            answer.log,
            answer.is_current,
            answer.find_caller,
        )
        self._responses[request] = cached
        self._used += len(request) + len(cached)
        while self._used > self._limit:
            self._remove(next(iter(self._responses)))

    def _remove(self, request: bytes) -> None:
        removed = self._responses.pop(request, None)
        if removed is not None:
            self._used -= len(request) + len(removed)
