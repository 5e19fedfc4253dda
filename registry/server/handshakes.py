"""The TLS handshakes that run at once: how many there may be, and who waits for its turn."""

import time
from collections import Counter
from collections.abc import Callable

from registry.server.open_connection import OpenConnection

MAX_HANDSHAKES = 1024  # of 50 KiB each, beyond which a slow one is closed
# A handshake that begins costs a signature and memory. One that waits for others of its address
# costs a socket, so it is no use to an attacker to begin thousands.
MAX_PER_ADDRESS = 64


class Handshakes:
    """The handshakes of one worker; `close_slow` closes a connection to make room for others."""

    def __init__(self, close_slow: Callable[[OpenConnection], None]) -> None:
        self._close_slow = close_slow
        self._running: dict[OpenConnection, None] = {}  # the oldest first
        self._by_network: Counter[bytes] = Counter()
        self._waiting: dict[bytes, dict[OpenConnection, Callable[[], None]]] = {}

    def begin(self, entry: OpenConnection, start: Callable[[], None]) -> None:
        """Call `start`: at once, or when another handshake of the same address has ended."""
        if self._by_network[entry.network] >= MAX_PER_ADDRESS:
            self._waiting.setdefault(entry.network, {})[entry] = start
        else:
            self._start(entry, start)

    def _start(self, entry: OpenConnection, start: Callable[[], None]) -> None:
        self._running[entry] = None
        self._by_network[entry.network] += 1
        start()
        if len(self._running) > MAX_HANDSHAKES:
            oldest = next(iter(self._running))
            if oldest.rank(time.monotonic()):
                self._close_slow(oldest)

    def end(self, entry: OpenConnection) -> None:
        """Note that a handshake is over, or that its connection has ended before it began."""
        network = entry.network
        waiting = self._waiting.get(network, {})
        waiting.pop(entry, None)
        if entry in self._running:
            del self._running[entry]
            self._by_network[network] -= 1
            if waiting:
                oldest = next(iter(waiting))
                self._start(oldest, waiting.pop(oldest))
        if not waiting:
            self._waiting.pop(network, None)
        if not self._by_network[network]:
            del self._by_network[network]
