"""Sending the body of a blob from a file to a client.

`sendfile` is used, except over TLS and for chunked bodies: there the bytes have to be changed.
"""

import asyncio
import errno
import os
import socket
from collections.abc import AsyncGenerator, Iterator
from contextlib import AbstractContextManager, aclosing, contextmanager, nullcontext, suppress
from dataclasses import dataclass

from aiohttp import web

from registry.api.socket_writing import SentBytes, Unwritten, find_socket
from registry.tasks import in_thread

_READ = 256 * 1024  # bytes per read where sendfile cannot be used
_LEAST = 4 * 1024 * 1024  # bytes of one call of `loop.sendfile`
# What the kernel says when there is no way to the client any more, besides `ConnectionError`.
LOST = frozenset(
    {errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN, errno.ENOTCONN}
)

# A part of a body: its bytes, or the place of its bytes as (descriptor of an open file, start,
# stop).
Piece = bytes | tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A file as `loop.sendfile` needs it; closing the descriptor is left to its owner."""

    descriptor: int

    def fileno(self) -> int:
        """Return the descriptor."""
        return self.descriptor


class _Cork:
    """Makes the kernel send only full packets until the `with` block ends (`TCP_CORK`).

    So headers and body share packets. A large body then takes half the CPU time, and the client is
    woken half as often.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._socket = transport.get_extra_info("socket")

    def __enter__(self) -> None:
        self._set(is_corked=True)

    def __exit__(self, *_: object) -> None:
        self._set(is_corked=False)

    def _set(self, *, is_corked: bool) -> None:
        if self._socket is not None:
            with suppress(OSError):  # the client has left
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, is_corked)


async def send_body(
    request: web.BaseRequest,
    response: web.StreamResponse,
    pieces: AsyncGenerator[Piece, None],
    sent: SentBytes,
    *,
    is_growing: bool,
) -> None:
    """Send the headers of `response`, and then `pieces` as its body; count the bytes in `sent`.

    With `is_growing`, the blob is still being downloaded, and each piece is sent at once.

    Raises:
        ConnectionError: the client has left.
        EOFError: the body is shorter or longer than the headers say; the connection must be cut.
    """
    transport = request.transport
    if transport is None:
        raise ConnectionResetError("the client has left")
    cork, no_cork = _Cork(transport), nullcontext()
    around_body: AbstractContextManager[None] = no_cork if is_growing else cork
    around_piece: AbstractContextManager[None] = cork if is_growing else no_cork
    with around_body:
        await response.prepare(request)
        # TLS, and the frames around the parts of a chunked body, change the bytes.
        is_changed = transport.get_extra_info("sslcontext") is not None or response.chunked
        connection = None if is_changed else find_socket(transport)
        async with aclosing(pieces):
            async for piece in pieces:
                with around_piece:
                    if isinstance(piece, bytes):
                        await response.write(piece)
                        sent.add(len(piece))
                    elif transport.is_closing():
                        raise ConnectionResetError("the client has left")
                    elif connection is None:
                        await _send_by_reading(response, *piece, sent)
                    else:
                        await _send_by_kernel(transport, connection, piece, sent)
    if response.content_length not in (None, sent.count):
        raise EOFError(f"the body has {sent.count} bytes, and not {response.content_length}")


async def _send_by_kernel(
    transport: asyncio.Transport,
    connection: socket.socket,
    place: tuple[int, int, int],
    sent: SentBytes,
) -> None:
    descriptor, start, stop = place
    with _translate_errors(transport):
        if transport.get_write_buffer_size():
            # The loop first sends what waits.
            end = min(stop, start + _LEAST)
            await _send_slice(transport, descriptor, start, end, sent)
            start = end
        unwritten = Unwritten(connection, b"", descriptor, start, stop, sent.add)
        if unwritten.begin():
            return
        # As `loop.sendfile` does: the connection of a client that ends its side stays until then.
        is_reading = transport.is_reading()
        transport.pause_reading()
        try:
            await unwritten.finish()
        finally:
            if is_reading:
                transport.resume_reading()


async def _send_slice(
    transport: asyncio.Transport, descriptor: int, start: int, stop: int, sent: SentBytes
) -> None:
    file = OpenFile(descriptor)
    loop = asyncio.get_running_loop()
    os.lseek(descriptor, start, os.SEEK_SET)
    try:
        await loop.sendfile(transport, file, start, stop - start, fallback=False)  # type: ignore[arg-type]
    except asyncio.SendfileNotAvailableError:
        # asyncio hides the kernel's error if nothing was sent. The kernel says it again.
        socket_ = transport.get_extra_info("socket")
        os.sendfile(socket_.fileno(), descriptor, start, stop - start)
        raise
    finally:
        # `loop.sendfile` moves the file's position by what was sent, also when it raises.
        end = os.lseek(descriptor, 0, os.SEEK_CUR)
        sent.add(end - start)
    if end != stop:
        raise EOFError("the file ended early")


@contextmanager
def _translate_errors(transport: asyncio.Transport) -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError) as error:
        raise translate_error(transport, error) from error


def translate_error(transport: asyncio.Transport, error: Exception) -> Exception:
    """Return ConnectionResetError if the client has left, and EOFError if the disk refuses a read.

    A client has left if the loop says that the transport is closing, or the kernel says EPIPE,
    ETIMEDOUT, or that there is no way to it any more.
    """
    is_lost = isinstance(error, ConnectionError) or getattr(error, "errno", 0) in LOST
    if is_lost or transport.is_closing():
        return ConnectionResetError("the client has left")
    return EOFError(f"the file cannot be sent ({error})")


async def _send_by_reading(
    response: web.StreamResponse, descriptor: int, start: int, stop: int, sent: SentBytes
) -> None:
    while start < stop:
        try:
            content = await in_thread(os.pread, descriptor, min(_READ, stop - start), start)
        except OSError as error:
            raise EOFError(f"the file cannot be sent ({error})") from error
        if not content:
            raise EOFError("the file ended early")
        await response.write(content)
        start += len(content)
        sent.add(len(content))
