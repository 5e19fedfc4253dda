"""Refusing clients: an answer that says what to do, and the end of the connection."""

import socket
import time
from collections import deque
from contextlib import suppress

from registry.api.overload import write_overloaded, write_plain_http

LINGER = 2.0  # seconds that a client has to send its request and to read the answer
MAX_LINGERING = 64  # refused connections that are open at once
_READ = 64 * 1024


class Refusals:
    """Answers clients for whom there is no room, and those that do not speak TLS.

    If a connection was closed while its client sends, the kernel would delete the answer. So it
    stays open for a moment. These few connections are part of the reserve of descriptors.
    """

    def __init__(self) -> None:
        self._overloaded, self._plain_http = write_overloaded(), write_plain_http()
        self._lingering: deque[tuple[float, socket.socket]] = deque()

    def refuse(self, connection: socket.socket, *, has_tls: bool) -> None:
        """Answer a client that was just accepted, or over TLS only close its connection."""
        if has_tls:
            self.close_old(time.monotonic())
            connection.close()
        else:
            self._answer(connection, self._overloaded)

    def refuse_plain_http(self, connection: socket.socket) -> None:
        """Answer a client that does not speak TLS, although it is spoken here."""
        self._answer(connection, self._plain_http)

    def _answer(self, connection: socket.socket, answer: bytes) -> None:
        now = time.monotonic()
        self.close_old(now)
        try:
            connection.send(answer)
            connection.shutdown(socket.SHUT_WR)
        except OSError:  # the client has left
            connection.close()
            return
        self._lingering.append((now, connection))

    def close_old(self, now: float) -> None:
        """Close the connections that had their time, and the oldest if there are too many."""
        while self._lingering:
            began, connection = self._lingering[0]
            if now - began < LINGER and len(self._lingering) < MAX_LINGERING:
                return
            self._lingering.popleft()
            with suppress(OSError):
                connection.recv(_READ)  # what is not read would delete the answer
            connection.close()

    def close(self) -> None:
        """Close all of them."""
        while self._lingering:
            self._lingering.popleft()[1].close()
