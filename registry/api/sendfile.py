"""Bytes from a file to a client: by `sendfile` where connection and framing are plain."""

import asyncio
import os
import socket
from contextlib import suppress
from dataclasses import dataclass

from aiohttp import web

_PIECE = 256 * 1024  # bytes per read where sendfile cannot be used


@dataclass(frozen=True, slots=True)
class OpenFile:
    """What `loop.sendfile` needs of a file; the descriptor belongs to someone else."""

    descriptor: int

    def fileno(self) -> int:
        """Return the descriptor."""
        return self.descriptor


def cork(request: web.BaseRequest, *, is_corked: bool) -> None:
    """Have the kernel hold back what would not fill a packet, or send it now.

    Between the two, headers and body leave in full packets: half the CPU for a large body, and the
    client is woken half as often. Whoever waits for more bytes sends what there is before.
    """
    transport = request.transport
    connection = None if transport is None else transport.get_extra_info("socket")
    if connection is not None:
        with suppress(OSError):  # the client has left
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, is_corked)


async def send_file(
    request: web.BaseRequest, response: web.StreamResponse, descriptor: int, start: int, stop: int
) -> None:
    """Send the bytes from `start` to `stop`, which must be in the file; headers have been sent.

    Raises:
        ConnectionError: the client has left.
        EOFError: the file ended early; the connection must be cut.
    """
    transport = request.transport
    if transport is None or transport.is_closing():
        raise ConnectionResetError("the client has left")
    # A chunked body needs a frame around every piece.
    if transport.get_extra_info("sslcontext") is None and not response.chunked:
        await _send_by_kernel(transport, descriptor, start, stop)
    else:
        await _send_in_pieces(response, descriptor, start, stop)


async def _send_by_kernel(
    transport: asyncio.Transport, descriptor: int, start: int, stop: int
) -> None:
    if not transport.get_write_buffer_size():
        # What fits into the socket's buffer goes at once: for a small range, to tell the loop to
        # wait takes longer than to send.
        with suppress(BlockingIOError):
            socket_ = transport.get_extra_info("socket")
            start += os.sendfile(socket_.fileno(), descriptor, start, stop - start)
    if start == stop:
        return
    file = OpenFile(descriptor)
    loop = asyncio.get_running_loop()
    sent = await loop.sendfile(transport, file, start, stop - start, fallback=False)  # type: ignore[arg-type]
    if sent != stop - start:
        raise EOFError("the file ended early")


async def _send_in_pieces(
    response: web.StreamResponse, descriptor: int, start: int, stop: int
) -> None:
    while start < stop:
        piece = await asyncio.to_thread(os.pread, descriptor, min(_PIECE, stop - start), start)
        if not piece:
            raise EOFError("the file ended early")
        await response.write(piece)
        start += len(piece)
