"""Refusing clients: an answer that says when to try again, and the end of the connection."""

import socket
import time
from collections import deque
from contextlib import suppress

from registry.api.overload import write_overloaded

LINGER = 2.0  # seconds that a client has to send its request and to read the answer
MAX_LINGERING = 64  # refused connections that are open at once
_READ = 64 * 1024


class Refusals:
    """Answers clients for whom there is no room.

    If a connection was closed while its client sends, the kernel would delete the answer. So it
    stays open for a moment. These few connections are part of the reserve of descriptors.
    """

    def __init__(self) -> None:
        self._answer = write_overloaded()
        self._lingering: deque[tuple[float, socket.socket]] = deque()

    def refuse(self, connection: socket.socket, *, has_tls: bool) -> None:
        """Answer a client that was just accepted, or over TLS only close its connection."""
        now = time.monotonic()
        self.close_old(now)
        if has_tls:
            connection.close()
            return
        try:
            connection.send(self._answer)
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
