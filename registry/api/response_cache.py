"""Answers to requests that were answered before, byte by byte the same (record 0013)."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate

from aiohttp import web

from registry.api.access_log import AccessLog, Report, Tell

MAX_REQUEST = 4096  # bytes of a request that is worth remembering
MAX_BODY = 64 * 1024  # bytes of an answer that is
LIMIT = 8 * 1024 * 1024  # bytes of requests and answers that one worker remembers
OVERHEAD = 4096  # bytes an entry costs beside these, roughly: what is told of it, above all
UNCHANGED = 304
_BETWEEN = b"\r\nDate: "


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that went out; `is_current` as in the observation."""

    response: web.StreamResponse
    report: Report
    is_current: Callable[[str | None], bool] | None


@dataclass(frozen=True, slots=True)
class _CachedResponse:
    head: bytes  # status line and headers but for `Date`, without the last line's end
    body: bytes
    tell: Tell
    is_current: Callable[[str | None], bool]

    def __len__(self) -> int:
        return OVERHEAD + len(self.head) + len(self.body)


class ResponseCache:
    """What this process answered lately; least recently learnt first out, bounded in bytes."""

    def __init__(self, reporter: AccessLog, limit: int = LIMIT) -> None:
        self._reporter = reporter
        self._limit = limit
        self._used = 0
        self._replays: OrderedDict[bytes, _CachedResponse] = OrderedDict()
        self._second = 0
        self._date = b""

    def replay(self, request: bytes, client: str | None) -> bytes:
        """Return the whole answer to these bytes, and have it told of; empty where it is unknown.

        The bytes have to be one request from its first to its last byte.
        """
        replay = self._replays.get(request)
        if replay is None:
            return b""
        began = time.monotonic()
        if not replay.is_current(client):
            self._forget(request)
            return b""
        answer = b"".join((replay.head, _BETWEEN, self._tell_date(), b"\r\n\r\n", replay.body))
        replay.tell(client, time.monotonic() - began)
        return answer

    def learn(self, request: bytes, answer: Answer) -> None:
        """Remember what these bytes were answered with, if that can be repeated."""
        response = answer.response
        if answer.is_current is None or not isinstance(response, web.Response):
            return
        has_body = answer.report.method == "GET" and response.status != UNCHANGED
        body = response.body if has_body else b""
        if not isinstance(body, bytes) or max(len(request) - MAX_REQUEST, len(body) - MAX_BODY) > 0:
            return
        self._forget(request)
        tell = self._reporter.prepare(answer.report)
        replay = _CachedResponse(_render(response), body, tell, answer.is_current)
        self._replays[request] = replay
        self._used += len(request) + len(replay)
        while self._used > self._limit:
            self._forget(next(iter(self._replays)))

    def _forget(self, request: bytes) -> None:
        former = self._replays.pop(request, None)
        if former is not None:
            self._used -= len(request) + len(former)

    def _tell_date(self) -> bytes:
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._date = formatdate(second, usegmt=True).encode("ascii")
        return self._date


def _render(response: web.Response) -> bytes:
    lines = [f"HTTP/1.1 {response.status} {response.reason}"]
    lines += [f"{name}: {value}" for name, value in response.headers.items() if name != "Date"]
    return "\r\n".join(lines).encode("utf-8")
