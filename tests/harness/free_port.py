"""A port for a program that must be told its port before it listens."""

import random
import socket

# The kernel gives only ports above these to connections, and to whoever binds port 0. So it does
# not give a port that was found here to somebody else before the program listens on it.
PORTS = range(20_000, 32_000)


def find_free_port() -> int:
    """Return a port of the loopback on which nobody listens."""
    while True:
        port = random.choice(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
