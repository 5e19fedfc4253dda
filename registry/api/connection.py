"""The connections of clients: how large a request may be, and what is said of bytes that are none.

aiohttp quotes such bytes in its answer and in its log. They may be a part of a password: clients
send passwords to registries, also to mirrors that ignore them. So they are quoted nowhere here.
"""

import asyncio
import socket
import struct
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from aiohttp import web
from aiohttp.http import HttpProcessingError
from aiohttp.http_exceptions import BadHttpMethod, LineTooLong

from registry.api import errors
from registry.logs import get_logger

# Bytes of one header with its name. Clients send tokens and cookies of other services too, which
# are ignored: some tokens have 20 KiB, as they list all groups of a person.
MAX_HEADER = 64 * 1024 + 128
MAX_LINE = 8190  # bytes of a request's first line, apart from the method
LINGER = 2.0  # seconds that a client has to read why it was refused, or to end a body
WHOLE = 128 * 1024  # bytes of a body that are handed to the transport at once
SLICE = 64 * 1024  # bytes of a larger body that are handed to it, each time the client took some
_MALFORMED = 400  # the status with which aiohttp reports bytes that are not a request

# Gets the address of a client, the answer, and the reason, which quotes nothing.
NoteRefusal = Callable[[str | None, web.Response, str], None]


class ClientServer(web.Server):
    """Makes the protocol of each connection; give it to `web.ServerRunner`."""

    def __init__(
        self,
        handler: Callable[[Any], Awaitable[web.StreamResponse]],
        note_refusal: NoteRefusal,
        *,
        keep_alive: float,
        request_factory: Any = None,  # aiohttp does not export its type
    ) -> None:
        """`keep_alive` is how many seconds a connection without requests is kept."""
        super().__init__(handler, request_factory=request_factory, handler_cancellation=True)
        self._note_refusal = note_refusal
        self._keep_alive = keep_alive

    def __call__(self) -> "ClientConnection":
        """Return the protocol of a new connection."""
        return ClientConnection(self, self._note_refusal, self._keep_alive)


class ClientConnection(web.RequestHandler):
    """aiohttp's protocol, with errors in the specification's JSON that quote nothing."""

    def __init__(self, server: web.Server, note_refusal: NoteRefusal, keep_alive: float) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]
            keepalive_timeout=keep_alive,
            max_line_size=MAX_LINE,
            max_field_size=MAX_HEADER,
            lingering_time=LINGER,
        )
        self._note_refusal = note_refusal
        self._is_refused = False
        self._has_left = asyncio.Event()
        self._answered = 0
        # When the first byte of a head came that is not whole yet, and how many bytes it has. A new
        # connection counts as such a head too. None: there is no such head.
        self.head_began: float | None = None
        self.head_size = 0
        # Sends an answer without aiohttp, which must not close the connection meanwhile.
        self.repeating: asyncio.Task[None] | None = None
        self.is_ending = False  # the connection ends after the answer that is being sent

    @property
    def is_answering(self) -> bool:
        """Whether this connection has read a request that the handler has not answered yet."""
        return self._request_count > self._answered

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.BaseProtocol."""
        self.head_began = time.monotonic()
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol; what follows bytes that were refused is ignored."""
        if self._is_refused:
            return
        super().data_received(data)
        if self.is_answering:
            self.head_began, self.head_size = None, 0
        elif data:  # aiohttp also calls this without data, to parse what it has already
            self.head_size += len(data)
            if self.head_began is None:
                self.head_began = time.monotonic()

    def eof_received(self) -> None:
        """See asyncio.Protocol."""
        self._has_left.set()
        super().eof_received()

    def connection_lost(self, exc: BaseException | None) -> None:
        """See asyncio.BaseProtocol."""
        self._has_left.set()
        super().connection_lost(exc)

    def close(self) -> None:
        """See web.RequestHandler: end the connection as soon as no answer is being sent."""
        self.is_ending = True
        if self.repeating is None:
            super().close()

    async def shutdown(self, timeout: float | None = 15.0) -> None:
        """See web.RequestHandler; `timeout` is in seconds."""
        self.is_ending = True
        if self.repeating is not None:
            await asyncio.wait([self.repeating], timeout=timeout)
        await super().shutdown(timeout)

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send an answer. If it is a refusal, wait until the client has read it.

        If the connection was closed while the client sends, the kernel would delete the answer.
        """
        body = getattr(resp, "body", None)
        if isinstance(body, bytes) and len(body) > WHOLE and request.method != "HEAD":
            try:
                await _send_slices(request, resp, body)
            except ConnectionError:
                return resp, True
        result = await super().finish_response(request, resp, start_time)
        if self._is_refused and self.transport is not None:
            with suppress(OSError):  # the client has left
                if self.transport.can_write_eof():
                    self.transport.write_eof()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._has_left.wait(), LINGER)
        self._answered += 1
        return result

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - aiohttp's text, which quotes the bytes
    ) -> web.StreamResponse:
        """Return the answer to a request that could not be read, or whose handler has crashed.

        Raises:
            ConnectionError: an answer has begun, so the connection has to be closed.
        """
        if status == _MALFORMED and isinstance(exc, HttpProcessingError):
            self._is_refused = True
            why = explain(exc)
            response = errors.render_malformed(why)
            self._note_refusal(request.remote, response, why)
        else:
            get_logger("registry.api").error("a request crashed", exc_info=exc)
            if request.writer.output_size:
                raise ConnectionError("an answer has begun, so no other can be sent")
            response = errors.render_crash()
        response.force_close()
        return response

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Log an exception of the mirror's own; those about a client's bytes quote them."""
        error = kw.get("exc_info")
        if not isinstance(error, HttpProcessingError | web.RequestPayloadError):
            log = get_logger("registry.api")
            log.error(str(args[0]), exc_info=error)


async def _send_slices(request: web.BaseRequest, resp: web.StreamResponse, body: bytes) -> None:
    """Send head and body of an answer piece by piece, each when the client has taken the former.

    asyncio would copy all that the kernel does not take at once, for each client that waits.
    """
    await resp.prepare(request)
    for start in range(0, len(body), SLICE):
        await resp.write(memoryview(body)[start : start + SLICE])
    resp.body = None  # type: ignore[attr-defined]  # aiohttp would send it again


def reset(transport: asyncio.BaseTransport) -> None:
    """Close a connection so that its client sees an error, and not the end of an answer.

    The kernel drops what the client has not received, and keeps no memory for it. The loop must not
    be in `sendfile` on this connection: it would keep watching the closed descriptor.
    """
    drop_unsent(transport.get_extra_info("socket"))
    transport.abort()  # type: ignore[attr-defined]


def drop_unsent(connection: Any) -> None:
    """Make the kernel drop what the client has not received, when the socket is closed.

    `connection` is None for a connection over TLS that has just ended.
    """
    if connection is None:
        return
    with suppress(OSError):  # the connection is broken already
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def explain(error: HttpProcessingError) -> str:
    """Return what is wrong with bytes that are not a request, without any of these bytes. Pure."""
    if isinstance(error, LineTooLong):
        # aiohttp stores the bytes and the limit; the two limits differ, so they say what it was.
        is_header = MAX_HEADER in error.args
        return (
            f"a header has more than {MAX_HEADER // 1024} KiB"
            if is_header
            else f"the first line of the request has more than {MAX_LINE} bytes"
        )
    if isinstance(error, BadHttpMethod):
        return "this is not a request of HTTP; a client that speaks https here gets this answer too"
    return "the request is malformed (RFC 9112): check its first line, its headers and its length"
