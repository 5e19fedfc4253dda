"""Writing into the socket of a client without the loop's transport, which has nothing to write.

It is counted how many bytes of a body were written, in whatever way.
"""

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

_MOST = 4 * 1024 * 1024  # bytes of one call of `sendfile`, so that other clients get their turn
# Bytes of a part that the kernel takes before it has sent those before them. Then most parts need
# one call. For other answers it takes less (`server/listener.py`), as it needs memory for them.
UNSENT = 1024 * 1024
MayGoOn = Callable[[], bool]  # whether the rest of an answer may be sent


@dataclass(slots=True)
class SentBytes:
    """How many bytes of a body were sent until now, also if the client leaves early.

    `note` is called with each number of bytes as they are sent, for the metrics. `may_go_on` says
    whether more of them may be sent.
    """

    note: Callable[[int], None] | Callable[[float], None] | None = None
    may_go_on: MayGoOn | None = None
    count: int = 0

    def add(self, count: int) -> None:
        """Add bytes that were sent just now.

        Raises:
            EOFError: no more may be sent; the connection must be cut.
        """
        self.count += count
        if self.note is not None:
            self.note(count)
        if self.may_go_on is not None and not self.may_go_on():
            raise EOFError("the account of this client was removed or changed")


@dataclass(slots=True)
class Unwritten:
    """What was not written yet: bytes, and then the bytes of a file from `start` to `stop`.

    `sent` is how many bytes of the file were written; `note` gets them when `begin` and `finish`
    end, and while a slow client reads.
    """

    connection: socket.socket
    head: bytes
    descriptor: int
    start: int
    stop: int
    note: Callable[[int], None] | Callable[[float], None]
    sent: int = 0

    def begin(self) -> bool:
        """Write the head and as much of the file as the socket takes; return whether that is all.

        Raises:
            OSError: the client has left, or the disk refuses to read.
            EOFError: the file is too short.
        """
        # Head and body share packets. A large body then takes half the CPU time, and the client is
        # woken half as often.
        flags = socket.MSG_MORE if self.start < self.stop else 0
        try:
            if self.head:
                self.head = self.head[self.connection.send(self.head, flags) :]
        except BlockingIOError:
            return False
        return not self.head and self._write_file(self.connection.fileno())

    async def finish(self) -> None:
        """Write the rest, some time after `begin`.

        If the transport is cut meanwhile, cancel this, or shut the socket down.

        Raises:
            OSError, EOFError: as for `begin`.
        """
        # A fast client has nearly always read enough by now. To watch the socket takes as long as
        # all other steps for a small part.
        if not self._write(self.connection.fileno()):
            await self._watch()

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        # The loop lets nobody but its transport watch the transport's descriptor. And a descriptor
        # of our own stays that of this client until we close it.
        watched = os.dup(self.connection.fileno())
        written = loop.create_future()
        loop.add_writer(watched, self._go_on, watched, written)
        try:
            await written
        finally:
            loop.remove_writer(watched)
            os.close(watched)

    def _go_on(self, watched: int, written: asyncio.Future[None]) -> None:
        if written.done():
            return
        try:
            if self._write(watched):
                written.set_result(None)
        except (OSError, EOFError) as error:
            written.set_exception(error)

    def _write(self, target: int) -> bool:
        try:
            while self.head:
                self.head = self.head[os.write(target, self.head) :]
        except BlockingIOError:
            return False
        return self._write_file(target)

    def _write_file(self, target: int) -> bool:
        if self.start == self.stop:
            return True
        try:
            length = min(self.stop - self.start, _MOST)
            count = os.sendfile(target, self.descriptor, self.start, length)
        except BlockingIOError:
            return False
        if not count:
            raise EOFError("the file ended early")
        self.start += count
        self.sent += count
        self.note(count)
        return self.start == self.stop


def find_socket(transport: asyncio.Transport) -> socket.socket:
    """Return the socket of a transport without TLS, for `Unwritten`; the transport closes it.

    The wrapper that asyncio hands out has no `send`. The socket in it has no public name.
    """
    connection: socket.socket = transport.get_extra_info("socket")._sock
    return connection


def allow_unsent(connection: socket.socket) -> None:
    """Let the kernel take `UNSENT` bytes before it has sent those before them."""
    with suppress(OSError):  # the client has left
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)
