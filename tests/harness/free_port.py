"""A port for a program that must be told its port before it listens."""

import os
import random
import socket
import weakref

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


def keep_port(owner: object) -> int:
    """Return a free port of the loopback that nobody else gets as long as `owner` exists.

    So a server that is started again finds its port free. The socket that keeps it never listens:
    clients are refused while no server does.
    """
    with socket.socket() as keeper:
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        keeper.bind(("127.0.0.1", 0))
        port: int = keeper.getsockname()[1]
        weakref.finalize(owner, os.close, keeper.detach())
    return port
