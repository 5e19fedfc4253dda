"""One client's connection: repeats what can be repeated, leaves the rest to aiohttp.

aiohttp's request and response objects take longer to make than everything this mirror does for a
manifest that it has in memory; and a crowd that asks for the same image sends the same bytes.
"""

import asyncio
import re
import time
from typing import Any, cast

from registry.api.response_cache import Answer, ResponseCache

IDLE = 75.0  # seconds an idle connection is kept
REST = IDLE / 3  # seconds in which aiohttp may hear nothing of a connection that is not idle
# A head alone: nothing behind it, and nothing in it that says what comes next is not a request.
_HEAD = re.compile(
    rb"(?:GET|HEAD) [!-~]+ HTTP/1\.1\r\n"
    rb"(?:(?!content-length|transfer-encoding|expect|upgrade|connection(?!: keep-alive\r\n))"
    rb"[!-9;-~]+:[ -~\t]*\r\n)+\r\n",
    re.IGNORECASE,
)


class Connection(asyncio.BufferedProtocol):
    """Stands between a transport and `inner`, aiohttp's protocol.

    What comes is read into `read_buffer`, which all connections share, as it is taken out at once:
    asyncio would allocate 256 KiB for each read, which takes as long as repeating the answer.

    Only where `inner` has nothing left to do and the bytes that came are one whole request, an
    answer is repeated. When several requests came at once, where one ends is for `inner` alone to
    know, and it gets everything from there on.
    """

    def __init__(
        self, inner: asyncio.Protocol, replays: ResponseCache, read_buffer: memoryview
    ) -> None:
        self._inner = inner
        self._read_buffer = read_buffer
        self._replays = replays
        self._is_quiet = True  # every request that came has been answered
        self._is_clogged = False  # the client does not read its answers
        self._request = b""  # the one that `inner` is busy with

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.BaseProtocol."""
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self._client = str(peer[0]) if isinstance(peer, tuple) else None
        self._rests_until = time.monotonic() + REST
        self._inner.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.BaseProtocol."""
        self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        """See asyncio.BaseProtocol."""
        self._is_clogged = True
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """See asyncio.BaseProtocol."""
        self._is_clogged = False
        self._inner.resume_writing()

    def eof_received(self) -> bool | None:
        """See asyncio.BufferedProtocol."""
        return self._inner.eof_received()

    def get_buffer(self, _: int) -> memoryview:
        """See asyncio.BufferedProtocol.

        A view, as TLS reads into slices of it: those of a bytearray are copies that nobody sees.
        """
        return self._read_buffer

    def buffer_updated(self, nbytes: int) -> None:
        """See asyncio.BufferedProtocol."""
        data = bytes(self._read_buffer[:nbytes])
        if self._is_quiet and self._repeat(data):
            return
        # Whoever sent more before the answer: only `inner` knows where that request ends.
        self._request = data if self._is_quiet and _HEAD.fullmatch(data) else b""
        self._is_quiet = False
        self._inner.data_received(data)

    def _repeat(self, data: bytes) -> bool:
        if self._is_clogged or self._transport.is_closing():
            return False
        if time.monotonic() > self._rests_until:
            return False
        answer = self._replays.replay(data, self._client)
        if answer:
            self._transport.write(answer)
        return bool(answer)

    def settle(self, answer: Answer, sending: asyncio.Task[Any]) -> None:
        """Note that `answer` is out; called when the task that sent it has ended."""
        is_out = not sending.cancelled() and sending.exception() is None
        if is_out and self._request and answer.response.keep_alive:
            self._replays.learn(self._request, answer)
            self._is_quiet = True
            self._rests_until = time.monotonic() + REST
