"""Bytes from a file to a client: by `sendfile` where connection and framing are plain."""

import asyncio
import os
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
        loop = asyncio.get_running_loop()
        file = OpenFile(descriptor)
        sent = await loop.sendfile(transport, file, start, stop - start, fallback=False)  # type: ignore[arg-type]
        if sent != stop - start:
            raise EOFError("the file ended early")
        return
    while start < stop:
        piece = await asyncio.to_thread(os.pread, descriptor, min(_PIECE, stop - start), start)
        if not piece:
            raise EOFError("the file ended early")
        await response.write(piece)
        start += len(piece)
