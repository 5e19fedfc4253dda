"""The same bytes on two connections: one repeats answers, and the other is aiohttp's alone."""

import asyncio
import json
import os
import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from aiohttp import web

from registry.api import errors
from registry.api.access_log import AccessLog
from registry.api.blobs import answer_blob
from registry.api.connection import ClientConnection, ClientServer
from registry.api.middleware import Middleware, Notes
from registry.api.repeated_answers import ResponseCache
from registry.api.replaying_protocol import ReplayingProtocol
from registry.metrics.process_metrics import Metrics
from registry.mirror.blob_bodies import StoredBlob
from registry.mirror.cache_status import CacheStatus
from registry.mirror.kept_blobs import KeptBlob
from registry.oci.digest import Digest
from registry.oci.names import Repository
from registry.store.contract import FileBody

BREAK = b"\0"  # between the bytes that come at once
TURNS = 40  # of the event loop, until a request is answered
CONTENT = bytes(range(200)) * 5
DIGEST = Digest.of(CONTENT)
# What differs each time: the date, and the boundary of several ranges.
_PASSING = re.compile(rb"\r\nDate: [^\r]*|(?:boundary=|--)[0-9a-f]{32}")


class Wire(asyncio.Transport):
    """The client's end: keeps what is written, also into the socket itself."""

    def __init__(self) -> None:
        self._socket, self._client = socket.socketpair()
        self._socket.setblocking(False)
        self._client.setblocking(False)
        super().__init__({"peername": ("192.0.2.1", 1), "socket": self._socket})
        self._written = b""
        self.is_closed = False

    @property
    def written(self) -> bytes:
        """All bytes until now."""
        with suppress(BlockingIOError):
            while True:
                self._written += self._client.recv(65536)
        return self._written

    def write(self, data: Any) -> None:
        self._socket.sendall(data)

    def get_write_buffer_size(self) -> int:
        return 0

    def release(self) -> None:
        self._socket.close()
        self._client.close()

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
            seen.append((_PASSING.sub(b"", wire.written), wire.is_closed))
            if wire.is_closed:
                break
        (repeating or inner).connection_lost(None)
        for _ in range(TURNS):
            await asyncio.sleep(0)
        wire.release()
        return seen

    def _open_repeating(self, inner: ClientConnection) -> ReplayingProtocol:
        return ReplayingProtocol(lambda: inner, self._cache, self._buffer, lambda _: None)


def _cut(raw: bytes, most: int) -> Iterator[bytes]:
    return (piece[:most] for piece in raw.split(BREAK) if piece)


class StoredBlobs:
    """Takes the place of `Blobs`; one blob is stored."""

    stored = CacheStatus.HIT

    def __init__(self) -> None:
        self._file = os.memfd_create("blob")
        os.write(self._file, CONTENT)

    def keep(self, *_: object) -> KeptBlob:
        return KeptBlob(self.get, lambda: 0, set())

    async def get(self, *_: object) -> StoredBlob:
        return StoredBlob(FileBody(os.dup(self._file), len(CONTENT)), self.stored)

    async def stat(self, *_: object) -> int:
        return len(CONTENT)

    async def is_here(self, *_: object) -> bool:
        return True


async def answer(
    request: web.BaseRequest,
    notes: Notes,
    blobs: Any = StoredBlobs(),  # noqa: B008
) -> web.StreamResponse:
    """Answer with what was asked for, so that the answer to another request is noticed."""
    if request.method not in ("GET", "HEAD"):
        return errors.render_read_only()
    if "/blobs/" in notes.path:
        return await answer_blob(request, notes, blobs, Repository("docker.io", "a"), DIGEST)
    notes.is_current = lambda _: True
    asked = [request.method, request.raw_path, notes.host, notes.ns]
    body = json.dumps([*asked, *request.headers.items()]).encode()
    if request.headers.get("If-None-Match") == "x":
        return web.Response(status=304, headers={"ETag": "x"})
    return web.Response(body=body, headers={"Content-Type": "application/json"})


_PING = b"GET /v2/ HTTP/1.1\r\nHost: m\r\n\r\n"
_MANIFEST = b"GET /v2/a/manifests/1 HTTP/1.1\r\nHost: m\r\nAccept: a/b\r\n\r\n"
_BLOB = b"GET /v2/a/blobs/b HTTP/1.1\r\nHost: m\r\n\r\n"
_PART = _BLOB.replace(b"m\r\n", b"m\r\nRange: bytes=0-9\r\nAccept: */*\r\n")
_LATER = _PART.replace(b"0-9", b"990-")
SEEDS = [
    _BLOB + BREAK + _BLOB + BREAK + _PART + BREAK + _BLOB,
    _PART + BREAK + _LATER + BREAK + _LATER + _PART + BREAK + _PART,
    _PART + BREAK + _PART.replace(b"0-9", b"5-2") + BREAK + _PART.replace(b"0-9", b"1000-"),
    _PART + BREAK + _PART.replace(b"0-9", b"0-0,2-2") + BREAK + _PART.replace(b"0-9", b"-7"),
    _PART + BREAK + _PART.replace(b"Acc", b"Range: bytes=1-2\r\nAcc") + BREAK + _PART,
    _PART.replace(b"Accept: */*", b"If-Range: x") + BREAK + _PART.replace(b"GET", b"HEAD"),
    _PART + BREAK + _BLOB[:-2] + BREAK + b"\r\n" + BREAK + _PART,
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
