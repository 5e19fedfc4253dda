"""Writing into the socket of a client without the loop's transport, which has nothing to write."""

import asyncio
import os
import socket
from contextlib import suppress
from dataclasses import dataclass

from registry.api.sendfile import SentBytes, translate_errors

_MOST = 4 * 1024 * 1024  # bytes of one call of `sendfile`, so that other clients get their turn


@dataclass(slots=True)
class _Rest:
    """What was not written yet: bytes, and then the bytes of a file from `start` to `stop`."""

    head: bytes
    descriptor: int
    start: int
    stop: int
    sent: SentBytes

    def write(self, target: int) -> bool:
        """Write as much as the socket `target` takes now; return whether all is written.

        Raises:
            OSError: the client has left, or the disk refuses to read.
            EOFError: the file is too short.
        """
        try:
            while self.head:
                self.head = self.head[os.write(target, self.head) :]
            if self.start < self.stop:
                length = min(self.stop - self.start, _MOST)
                count = os.sendfile(target, self.descriptor, self.start, length)
                if not count:
                    raise EOFError("the file ended early")
                self.start += count
                self.sent.add(count)
        except BlockingIOError:
            return False
        return self.start == self.stop


async def write_slice(
    transport: asyncio.Transport, head: bytes, place: tuple[int, int, int], sent: SentBytes
) -> None:
    """Write `head`, and then a slice of a file (descriptor, start, stop); count it in `sent`.

    The transport must have nothing to write, and no TLS. If it is cut, the caller has to be
    cancelled, or the socket be shut down.

    Raises:
        ConnectionError: the client has left.
        EOFError: the file is too short, or cannot be read; the connection must be cut.
    """
    connection = transport.get_extra_info("socket")
    rest = _Rest(head, *place, sent)
    _cork(connection, is_corked=True)
    try:
        with translate_errors(transport):
            if not rest.write(connection.fileno()):
                # Until the next turn of the loop, a fast client has nearly always read enough. To
                # watch the socket takes as long as all other steps for a small part.
                await asyncio.sleep(0)
                if not rest.write(connection.fileno()):
                    await _write_rest(connection.fileno(), rest)
    finally:
        _cork(connection, is_corked=False)


async def _write_rest(target: int, rest: _Rest) -> None:
    loop = asyncio.get_running_loop()
    written = loop.create_future()
    # The loop lets nobody but its transport watch the transport's descriptor. And a descriptor of
    # our own stays that of this client until we close it.
    watched = os.dup(target)

    def go_on() -> None:
        if written.done():
            return
        try:
            if rest.write(watched):
                written.set_result(None)
        except (OSError, EOFError) as error:
            written.set_exception(error)

    loop.add_writer(watched, go_on)
    try:
        await written
    finally:
        loop.remove_writer(watched)
        os.close(watched)


def _cork(connection: socket.socket, *, is_corked: bool) -> None:
    """Make the kernel send only full packets, so that head and body share them (`TCP_CORK`)."""
    with suppress(OSError):  # the client has left
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, is_corked)
