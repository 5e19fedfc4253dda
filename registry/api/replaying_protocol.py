"""The protocol of a client's connection: it repeats answers, or gives the bytes to aiohttp.

See decision record 0013.
"""

import asyncio
import re
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

from registry.api.blob_answers import BlobAnswer
from registry.api.connection import ClientConnection, drop_unsent
from registry.api.repeated_answers import ResponseCache, SentAnswer
from registry.api.repeated_blobs import Client, RepeatedBlob, Wanted
from registry.api.socket_writing import allow_unsent, find_socket
from registry.api.surroundings import find_surroundings

# Matches one whole request without a body. It does not match if a header could announce a body, or
# if other bytes follow the request.
_REQUEST = re.compile(
    rb"(?:GET|HEAD) [!-~]+ HTTP/1\.1\r\n"
    rb"(?:(?!content-length|transfer-encoding|expect|upgrade|connection(?!: keep-alive\r\n))"
    rb"[!-9;-~]+:[ -~\t]*\r\n)+\r\n",
    re.IGNORECASE,
)


class ReplayingProtocol(asyncio.BufferedProtocol):
    """The connection of one client, between a transport and `inner`, which is aiohttp's protocol.

    Bytes are read into `read_buffer`, and copied from there at once, so all connections of a worker
    share it. asyncio itself would allocate 256 KiB for each read, which takes as long as repeating
    an answer.

    An answer is repeated only if `inner` has answered all earlier requests, and the bytes that were
    read are exactly one request. If several requests were read at once, only `inner` knows where
    each of them ends. From then on `inner` gets all bytes of the connection.

    A stored blob is sent in a task, and what the client sends meanwhile waits for the end of it.
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
        self._sending: asyncio.Task[None] | None = None  # sends a blob without `inner`
        self._waiting = b""  # what the client has sent meanwhile
        self._has_eof = False  # the client has ended its side meanwhile
        self._has_tls = False
        self._target: Client | None = None  # for blobs that are sent without `inner`
        self.is_connected = False  # false until a TLS handshake has succeeded

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.BaseProtocol."""
        self.is_connected = True
        self._transport = cast("asyncio.Transport", transport)
        self._has_tls = transport.get_extra_info("sslcontext") is not None
        self._client = find_surroundings(transport)
        self._inner = self._make_inner()
        self._inner.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.BaseProtocol."""
        if self._sending is not None:
            self._sending.cancel()
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
        """See asyncio.BufferedProtocol; true keeps the connection."""
        if self._sending is not None:
            self._has_eof = True
            return True
        self._inner.eof_received()
        return None

    def get_buffer(self, _: int) -> memoryview:
        """See asyncio.BufferedProtocol.

        It is a memoryview because TLS reads into slices of it: slices of a bytearray are copies.
        """
        return self._read_buffer

    def buffer_updated(self, nbytes: int) -> None:
        """See asyncio.BufferedProtocol."""
        self._receive(bytes(self._read_buffer[:nbytes]))

    def _receive(self, data: bytes) -> None:
        if self._sending is not None:
            self._waiting += data
            self._transport.pause_reading()
        elif not (self._is_idle and (self._repeat(data) or self._begin_blob(data))):
            self._give(data)

    def _give(self, data: bytes) -> None:
        """Let `inner` answer."""
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

    def _begin_blob(self, data: bytes) -> bool:
        """Begin to send a blob, if that is the answer to these bytes."""
        found = self._cache.blobs.find(data)
        if found is None or not self._is_free():
            return False
        self._inner.head_began = None
        blob, wanted = found
        if self._target is None:
            connection = find_socket(self._transport)
            allow_unsent(connection)
            self._target = Client(self._transport, connection, self._client)
        answer = blob.begin(self._target, wanted)
        if answer is not None and answer.is_over:
            self._used_at = time.monotonic()
            return True
        sending = self._send_blob(data, self._target, blob, wanted, answer)
        self._sending = asyncio.create_task(sending)
        self._inner.repeating = self._sending
        return True

    def _is_free(self) -> bool:
        """Whether bytes can be written into the socket itself, and the connection will stay."""
        transport = self._transport
        is_used = transport.is_closing() or transport.get_write_buffer_size() > 0
        return not (is_used or self._has_tls or self._inner.is_ending)

    async def _send_blob(
        self,
        data: bytes,
        target: Client,
        blob: RepeatedBlob,
        wanted: Wanted | None,
        answer: BlobAnswer | None,
    ) -> None:
        """Send a blob, or let `inner` answer; then go on with what the client has sent since.

        `answer` is None if the blob has to be opened first.
        """
        try:
            if answer is None:
                answer = await blob.open(target, wanted)
            if answer is not None:
                await answer.finish()
        except BaseException:
            self._transport.abort()
            raise
        finally:
            self._sending = self._inner.repeating = None
            self._used_at = time.monotonic()
        if answer is None:
            self._give(data)
        waiting, self._waiting = self._waiting, b""
        if waiting:
            self._transport.resume_reading()
            self._receive(waiting)
        if self._inner.is_ending:
            self._inner.close()
        if self._has_eof and self._sending is None:
            self._inner.eof_received()
            self._transport.close()

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
        return self._client.address or ""

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
        is_busy = self._inner.is_answering or self.has_unsent
        return None if is_busy else self._used_at

    @property
    def has_unsent(self) -> bool:
        """Whether bytes of an answer wait because the kernel does not take more."""
        return self._sending is not None or self._transport.get_write_buffer_size() > 0

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
        if self._has_tls or self.kernel_socket is None:
            self._transport.abort()
            return
        # Not `abort`: if the loop is in `sendfile`, it would keep watching the closed descriptor.
        # So it finds out by itself that it cannot send any more.
        with suppress(OSError):
            self.kernel_socket.shutdown(socket.SHUT_RDWR)
