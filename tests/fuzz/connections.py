"""The same bytes on two connections: one repeats answers, and the other is aiohttp's alone."""

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any

from aiohttp import web

from registry.api import errors
from registry.api.access_log import AccessLog
from registry.api.connection import ClientConnection, ClientServer
from registry.api.middleware import Middleware, Notes
from registry.api.repeated_answers import ReplayingProtocol, ResponseCache
from registry.metrics.process_metrics import Metrics

BREAK = b"\0"  # between the bytes that come at once
TURNS = 40  # of the event loop, until a request is answered
_DATE = re.compile(rb"\r\nDate: [^\r]*")


class Wire(asyncio.Transport):
    """The client's end: keeps what is written."""

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.1", 1)})
        self.written = b""
        self.is_closed = False

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    abort = close

    def can_write_eof(self) -> bool:
        return False

    def pause_reading(self) -> None:
        """Bytes come only when the test gives them."""

    resume_reading = pause_reading

    def set_protocol(self, protocol: Any) -> None:
        self._protocol = protocol

    def get_protocol(self) -> Any:
        return self._protocol


class Servers:
    """A server of ours, on connections that repeat answers, and on others."""

    def __init__(self) -> None:
        log = AccessLog(Metrics())
        middleware = Middleware(log, answer)
        self._server = ClientServer(middleware.answer, log.write_refusal, keep_alive=75)
        self._cache = ResponseCache(log)
        self._buffer = memoryview(bytearray(64 * 1024))

    async def compare(self, raw: bytes) -> None:
        """Give both the same bytes, twice, on connections of their own."""
        for _ in range(2):
            plain = await self._play(raw, is_repeating=False)
            repeating = await self._play(raw, is_repeating=True)
            assert plain == repeating, (plain, repeating)

    async def _play(self, raw: bytes, *, is_repeating: bool) -> list[tuple[bytes, bool]]:
        """Return what was written after each piece, and whether the connection was then closed."""
        wire, inner = Wire(), self._server()
        repeating = self._open_repeating(inner) if is_repeating else None
        wire.set_protocol(repeating or inner)
        (repeating or inner).connection_made(wire)
        seen = []
        for piece in _cut(raw, len(self._buffer)):
            if repeating is None:
                inner.data_received(piece)
            else:
                self._buffer[: len(piece)] = piece
                repeating.buffer_updated(len(piece))
            for _ in range(TURNS):
                await asyncio.sleep(0)
            seen.append((_DATE.sub(b"", wire.written), wire.is_closed))
            if wire.is_closed:
                break
        (repeating or inner).connection_lost(None)
        for _ in range(TURNS):
            await asyncio.sleep(0)
        return seen

    def _open_repeating(self, inner: ClientConnection) -> ReplayingProtocol:
        return ReplayingProtocol(lambda: inner, self._cache, self._buffer, lambda _: None)


def _cut(raw: bytes, most: int) -> Iterator[bytes]:
    return (piece[:most] for piece in raw.split(BREAK) if piece)


async def answer(request: web.BaseRequest, notes: Notes) -> web.StreamResponse:
    """Answer with what was asked for, so that the answer to another request is noticed."""
    if request.method not in ("GET", "HEAD"):
        return errors.render_read_only()
    notes.is_current = lambda _: True
    asked = [request.method, request.raw_path, notes.host, notes.ns]
    body = json.dumps([*asked, *request.headers.items()]).encode()
    if request.headers.get("If-None-Match") == "x":
        return web.Response(status=304, headers={"ETag": "x"})
    return web.Response(body=body, headers={"Content-Type": "application/json"})


_PING = b"GET /v2/ HTTP/1.1\r\nHost: m\r\n\r\n"
_MANIFEST = b"GET /v2/a/manifests/1 HTTP/1.1\r\nHost: m\r\nAccept: a/b\r\n\r\n"
SEEDS = [
    _MANIFEST + BREAK + _MANIFEST,
    _MANIFEST.replace(b"GET", b"HEAD") + BREAK + _MANIFEST,
    _PING + _MANIFEST + BREAK + _PING,
    _PING.replace(b"/v2/", b"/v2/?ns=ghcr.io") + BREAK + _PING,
    _PING.replace(b"m\r\n", b"m\r\nConnection: keep-alive\r\n") + BREAK + _PING,
    _PING.replace(b"m\r\n", b"m\r\nIf-None-Match: x\r\n") + BREAK + _PING,
    b"PUT /v2/a HTTP/1.1\r\nHost: m\r\nContent-Length: 3\r\n\r\nabc" + BREAK + _PING,
    b"GET / HTTP/1.1\r\nHost: m\r\nTransfer-Encoding: chunked\r\n\r\n" + BREAK + b"0\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + BREAK + b"Host: m\r\n\r\n" + BREAK + _PING,
    b"GET http://m/v2/ HTTP/1.0\r\n\r\n",
]
