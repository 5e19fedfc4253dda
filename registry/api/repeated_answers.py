"""Answers that are sent again without aiohttp, with the same bytes (decision record 0013).

Many clients that pull the same image send requests with the same bytes. For a manifest that is in
memory, aiohttp's objects for request and response take longer to make than all other work.
"""

import asyncio
import re
import socket
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any, cast

from aiohttp import web

from registry.api.access_log import AccessEntry, AccessLog, LogAnswer
from registry.api.connection import ClientConnection, drop_unsent

# Matches one whole request without a body. It does not match if a header could announce a body, or
# if other bytes follow the request.
_REQUEST = re.compile(
    rb"(?:GET|HEAD) [!-~]+ HTTP/1\.1\r\n"
    rb"(?:(?!content-length|transfer-encoding|expect|upgrade|connection(?!: keep-alive\r\n))"
    rb"[!-9;-~]+:[ -~\t]*\r\n)+\r\n",
    re.IGNORECASE,
)
MAX_REQUEST = 4096  # bytes of a request; longer ones are not remembered
MAX_BODY = 64 * 1024  # bytes of a body; longer ones are not remembered
LIMIT = 8 * 1024 * 1024  # bytes of requests and answers that one worker remembers
OVERHEAD = 4096  # bytes that an entry takes besides request and answer, roughly; mostly log fields
NOT_MODIFIED = 304
_BEFORE_DATE = b"\r\nDate: "


@dataclass(frozen=True, slots=True)
class SentAnswer:
    """An answer that has been sent; for `is_current` see `Notes` in `middleware.py`."""

    response: web.StreamResponse
    entry: AccessEntry
    is_current: Callable[[str | None], bool] | None


@dataclass(frozen=True, slots=True)
class _CachedResponse:
    head: bytes  # status line and headers without `Date` and the line ends after them
    body: bytes
    log: LogAnswer
    is_current: Callable[[str | None], bool]

    def __len__(self) -> int:
        return OVERHEAD + len(self.head) + len(self.body)


class ResponseCache:
    """Answers, found by the bytes of their requests; all together have at most `limit` bytes.

    If they have more, the answers that were added first are removed, even if they are often sent.
    """

    def __init__(self, access_log: AccessLog, limit: int = LIMIT) -> None:
        self._access_log = access_log
        self._limit = limit
        self._used = 0
        self._responses: OrderedDict[bytes, _CachedResponse] = OrderedDict()
        self._second = 0
        self._date = b""

    def repeat(self, request: bytes, client: str | None) -> bytes:
        """Return and log the answer to these bytes, which have to be exactly one request.

        Returns no bytes if there is no answer, or if the answer is not current any more.
        """
        cached = self._responses.get(request)
        if cached is None:
            return b""
        began = time.monotonic()
        if not cached.is_current(client):
            self._remove(request)
            return b""
        answer = b"".join((cached.head, _BEFORE_DATE, self._write_date(), b"\r\n\r\n", cached.body))
        cached.log(client, time.monotonic() - began)
        return answer

    def remember(self, request: bytes, answer: SentAnswer) -> None:
        """Remember the answer to these bytes, if it can be repeated."""
        response = answer.response
        if answer.is_current is None or not isinstance(response, web.Response):
            return
        has_body = answer.entry.method == "GET" and response.status != NOT_MODIFIED
        body = response.body if has_body else b""
        if not isinstance(body, bytes) or max(len(request) - MAX_REQUEST, len(body) - MAX_BODY) > 0:
            return
        self._remove(request)
        log = self._access_log.prepare(answer.entry)
        cached = _CachedResponse(write_head(response), body, log, answer.is_current)
        self._responses[request] = cached
        self._used += len(request) + len(cached)
        while self._used > self._limit:
            self._remove(next(iter(self._responses)))

    def _remove(self, request: bytes) -> None:
        removed = self._responses.pop(request, None)
        if removed is not None:
            self._used -= len(request) + len(removed)

    def _write_date(self) -> bytes:
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._date = formatdate(second, usegmt=True).encode("ascii")
        return self._date


def write_head(response: web.Response) -> bytes:
    """Return the status line and the headers without `Date`, without the line ends after them."""
    lines = [f"HTTP/1.1 {response.status} {response.reason}"]
    lines += [f"{name}: {value}" for name, value in response.headers.items() if name != "Date"]
    return "\r\n".join(lines).encode("utf-8")


class ReplayingProtocol(asyncio.BufferedProtocol):
    """The connection of one client, between a transport and `inner`, which is aiohttp's protocol.

    Bytes are read into `read_buffer`, and copied from there at once, so all connections of a worker
    share it. asyncio itself would allocate 256 KiB for each read, which takes as long as repeating
    an answer.

    An answer is repeated only if `inner` has answered all earlier requests, and the bytes that were
    read are exactly one request. If several requests were read at once, only `inner` knows where
    each of them ends. From then on `inner` gets all bytes of the connection.
    """

    def __init__(
        self,
        make_inner: Callable[[], ClientConnection],
        cache: ResponseCache,
        read_buffer: memoryview,
        note_end: Callable[["ReplayingProtocol"], None],
    ) -> None:
        """`make_inner` makes aiohttp's protocol, which takes memory, once the client is connected.

        `note_end` is called when the connection has ended.
        """
        self._make_inner = make_inner
        self._cache = cache
        self._read_buffer = read_buffer
        self._note_end = note_end
        self._used_at = time.monotonic()  # when the last request was answered
        self._is_idle = True  # all requests that were read have been answered
        self._is_paused = False  # the client does not read its answers
        self._request = b""  # the request that `inner` is answering, if its end is known
        self.is_connected = False  # false until a TLS handshake has succeeded

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.BaseProtocol."""
        self.is_connected = True
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self._client = str(peer[0]) if isinstance(peer, tuple) else None
        self._inner = self._make_inner()
        self._inner.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.BaseProtocol."""
        self._inner.connection_lost(exc)
        self._note_end(self)

    def pause_writing(self) -> None:
        """See asyncio.BaseProtocol."""
        self._is_paused = True
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """See asyncio.BaseProtocol."""
        self._is_paused = False
        self._inner.resume_writing()

    def eof_received(self) -> bool | None:
        """See asyncio.BufferedProtocol."""
        self._inner.eof_received()
        return None

    def get_buffer(self, _: int) -> memoryview:
        """See asyncio.BufferedProtocol.

        It is a memoryview because TLS reads into slices of it: slices of a bytearray are copies.
        """
        return self._read_buffer

    def buffer_updated(self, nbytes: int) -> None:
        """See asyncio.BufferedProtocol."""
        data = bytes(self._read_buffer[:nbytes])
        if self._is_idle and self._repeat(data):
            return
        self._request = data if self._is_idle and _REQUEST.fullmatch(data) else b""
        self._is_idle = False
        self._inner.data_received(data)

    def _repeat(self, data: bytes) -> bool:
        if self._is_paused or self._transport.is_closing():
            return False
        answer = self._cache.repeat(data, self._client)
        if not answer:
            return False
        self._transport.write(answer)
        self._used_at = time.monotonic()
        self._inner.head_began = None
        return True

    def finish_answer(self, answer: SentAnswer, sending: asyncio.Task[Any]) -> None:
        """Note that the task `sending` has ended, which sent `answer`."""
        self._used_at = time.monotonic()
        is_sent = not sending.cancelled() and sending.exception() is None
        if is_sent and self._request and answer.response.keep_alive:
            self._cache.remember(self._request, answer)
            self._is_idle = True

    @property
    def client(self) -> str:
        """The address of the client; empty if it is not known."""
        return self._client or ""

    @property
    def head_began(self) -> float | None:
        """When the head of a request began that is not whole yet; None without such a head."""
        return self._inner.head_began

    @property
    def head_size(self) -> int:
        """How many bytes of such a head have come."""
        return self._inner.head_size

    @property
    def idle_since(self) -> float | None:
        """When the last request was answered; None while an answer is made or sent."""
        is_busy = self._inner.is_answering or self._transport.get_write_buffer_size()
        return None if is_busy else self._used_at

    @property
    def has_unsent(self) -> bool:
        """Whether bytes of an answer wait because the kernel does not take more."""
        return self._transport.get_write_buffer_size() > 0

    @property
    def kernel_socket(self) -> Any:
        """The socket, with the methods of `asyncio.trsock.TransportSocket`.

        None for a connection over TLS that has ended: the protocol is told in the next turn of the
        loop, and until then it seems to be open.
        """
        return self._transport.get_extra_info("socket")

    def close_idle(self) -> None:
        """Close a connection on which no request is being answered."""
        self._transport.abort()

    def cut(self) -> None:
        """End a connection whose answer is being sent; its client gets no more of it."""
        drop_unsent(self.kernel_socket)
        if self._transport.get_extra_info("sslcontext") is not None or self.kernel_socket is None:
            self._transport.abort()
            return
        # Not `abort`: if the loop is in `sendfile`, it would keep watching the closed descriptor.
        # So it finds out by itself that it cannot send any more.
        with suppress(OSError):
            self.kernel_socket.shutdown(socket.SHUT_RDWR)
