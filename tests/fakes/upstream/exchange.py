"""One request and its answer; only this module writes to the connection."""

import asyncio
import json
import socket
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn
from urllib.parse import unquote

from aiohttp import web

from tests.fakes.upstream.body import Body, shape_body
from tests.fakes.upstream.conduct import Conduct
from tests.fakes.upstream.content import Content, Held
from tests.fakes.upstream.faults import (
    Action,
    Answer,
    Arrival,
    Delay,
    ExpireUrl,
    Faults,
    Hang,
    Plain429,
    Redirect,
    RedirectLoop,
    Status,
    Target,
)
from tests.fakes.upstream.journal import Entry
from tests.fakes.upstream.pace import Pace, slice_size

ZEROS = memoryview(bytes(64 << 10))
EXPIRED = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"
)


class Refusal(Exception):
    """A refusal by the registry, in the error format of the specification."""

    def __init__(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.headers = {"Content-Type": "application/json", **(headers or {})}
        error: dict[str, Any] = {"code": code, "message": message, "detail": None}
        self.body = json.dumps({"errors": [error]}).encode()


@dataclass
class Shared:
    """State of all exchanges: the switches, the script of faults, the rate, and the gate.

    While `gate` is closed, nothing is sent on any connection.
    """

    conduct: Conduct
    faults: Faults
    pace: Pace
    gate: asyncio.Event


class Exchange:
    """A request that is being answered."""

    def __init__(self, request: web.BaseRequest, entry: Entry, shared: Shared) -> None:
        self.request = request
        self.entry = entry
        self.conduct = shared.conduct
        self._shared = shared
        self._pace = Pace()

    @property
    def target(self) -> str:
        """Path and query as they were received."""
        return self.request.raw_path

    def _as_target(self, *, redirecting: bool = False) -> Target:
        ranged = "Range" in self.request.headers
        path = unquote(self.entry.path)
        return Target(self.entry.kind, self.entry.method, path, ranged, redirecting)

    async def apply_arrival_faults(self) -> web.StreamResponse | None:
        """Apply the arrival faults; return the answer if one of them made it."""
        await self._shared.gate.wait()
        if self.conduct.delay:
            await asyncio.sleep(self.conduct.delay)
        for action in self._shared.faults.take(self._as_target(), Arrival):
            match action:
                case Delay(seconds):
                    await asyncio.sleep(seconds)
                case Hang():
                    await self._wait_until_cancelled()
                case Plain429(retry_after):
                    await self._write_plain_429(retry_after)
                case ExpireUrl():
                    return await self.reply(403, {"Content-Type": "application/xml"}, EXPIRED)
                case Status(code, body, headers):
                    return await self.reply(code, headers, body)
        return None

    async def redirect(self, location: str) -> web.StreamResponse:
        """Answer 307 to this location, unless a fault names another one."""
        actions = self._shared.faults.take(self._as_target(redirecting=True), Answer)
        return await self._redirect(self._find_diversion(actions) or location)

    async def _redirect(self, location: str) -> web.StreamResponse:
        return await self.reply(
            307, {"Location": location, "Content-Type": "application/octet-stream"}
        )

    async def refuse(self, refusal: Refusal) -> web.StreamResponse:
        """Answer with this refusal."""
        return await self.reply(refusal.status, refusal.headers, refusal.body)

    async def reply(
        self, status: int, headers: Mapping[str, str], body: bytes | str = b""
    ) -> web.StreamResponse:
        """Send a short answer, to which no other fault applies."""
        data = body.encode() if isinstance(body, str) else body
        content = Held(data)
        return await self._send(Body(content, 0, content.size, status, content.size), headers)

    async def send_content(
        self, content: Content, headers: Mapping[str, str], *, rangeable: bool = False
    ) -> web.StreamResponse:
        """Send a correct answer with this content, changed by the answer faults."""
        actions = self._shared.faults.take(self._as_target(), Answer)
        location = self._find_diversion(actions)
        if location is not None:
            return await self._redirect(location)
        asked = self.request.headers.get("Range")
        if rangeable and asked and self.conduct.range_status is not None:
            return await self.reply(self.conduct.range_status, {"Content-Type": "text/plain"})
        body = shape_body(content, asked, actions, self.conduct, rangeable=rangeable)
        return await self._send(body, headers)

    def _find_diversion(self, actions: tuple[Action, ...]) -> str | None:
        for action in actions:
            if isinstance(action, Redirect):
                return action.location
            if isinstance(action, RedirectLoop):
                return self.target
        return None

    async def _send(self, body: Body, headers: Mapping[str, str]) -> web.StreamResponse:
        response = web.StreamResponse(status=body.status)
        for name, value in {**headers, **body.headers}.items():
            if value:
                response.headers[name] = value
        if body.length is None:
            response.enable_chunked_encoding()
        else:
            response.content_length = body.length
        transport = self._transport()
        # Writing pauses at the first byte that the kernel does not take. After `drain` the
        # kernel has every byte.
        transport.set_write_buffer_limits(high=0)
        await response.prepare(self.request)
        self.entry.status = body.status
        if self.request.method != "HEAD":
            await self._send_body(response, body)
        await response.write_eof()
        return response

    async def _send_body(self, response: web.StreamResponse, body: Body) -> None:
        self.request.writer.send_headers()
        await self.request.writer.drain()
        now = time.monotonic()
        with self._shared.pace.share(now), self._pace.share(now):
            stop = body.stop if body.limit is None else min(body.stop, body.start + body.limit)
            await self._send_span(response, body.content, body.start, stop)
            if body.ending == "endless":
                await self._send_zeros(response, body.length)
        match body.ending:
            case "cut" | "reset":
                await self.close_connection(reset=body.ending == "reset")
            case "stall":
                await self._wait_until_cancelled()

    async def _send_span(
        self, response: web.StreamResponse, content: Content, start: int, stop: int
    ) -> None:
        while start < stop:
            piece = content.piece(start, min(stop - start, self._piece_size()))
            await self._write(response, piece)
            start += piece.nbytes

    async def _send_zeros(self, response: web.StreamResponse, declared: int | None) -> None:
        while declared is None or self.entry.body_bytes < declared:
            most = self._piece_size() if declared is None else declared - self.entry.body_bytes
            await self._write(response, ZEROS[: min(most, self._piece_size())])

    def _piece_size(self) -> int:
        shared = slice_size(self.conduct.rate, self._shared.pace.sharers)
        return min(shared, slice_size(self.conduct.connection_rate))

    async def _write(self, response: web.StreamResponse, piece: memoryview) -> None:
        await self._shared.gate.wait()
        now = time.monotonic()
        wait = 0.0
        if self.conduct.rate:
            wait = self._shared.pace.reserve(piece.nbytes, self.conduct.rate, now)
        if self.conduct.connection_rate:
            wait = max(wait, self._pace.reserve(piece.nbytes, self.conduct.connection_rate, now))
        # Also without a wait: where the kernel takes everything, nothing else would run.
        await asyncio.sleep(max(0.0, wait))
        await response.write(piece)
        await self.request.writer.drain()
        self.entry.body_bytes += piece.nbytes
        if self.entry.first_byte_at is None:
            self.entry.first_byte_at = time.monotonic()

    async def close_connection(self, *, reset: bool = False) -> NoReturn:
        """Close the connection in the middle of an answer; `reset` sends a TCP reset."""
        transport = self._transport()
        if reset:
            linger = struct.pack("ii", 1, 0)
            transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, linger
            )
        transport.abort()
        await self._wait_until_cancelled()

    async def _write_plain_429(self, retry_after: int) -> NoReturn:
        body = b"Too Many Requests (HAP429).\n"
        head = (
            "HTTP/1.1 429 Too Many Requests\nContent-Type: text/plain\n"
            f"Retry-After: {retry_after}\nContent-Length: {len(body)}\nConnection: close\n\n"
        )
        transport = self._transport()
        transport.write(head.encode() + body)
        self.entry.status = 429
        self.entry.body_bytes = len(body)
        transport.close()
        await self._wait_until_cancelled()

    async def _wait_until_cancelled(self) -> NoReturn:
        """Wait until the connection is lost: the server then cancels this task."""
        await asyncio.get_running_loop().create_future()
        raise AssertionError("this future never gets a result")

    def _transport(self) -> asyncio.Transport:
        transport = self.request.transport
        if transport is None:
            raise ConnectionResetError("the client has gone")
        return transport
