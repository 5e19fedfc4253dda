"""A network without a route to other hosts: its processes can reach only the loopback.

Attempts to reach another host are counted: by the kernel, which has no route, and at an address
that is the proxy of the clients and that does not answer.
"""

import ctypes
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from tests.harness.daemons import DEAD_END, finish

NEW_NETWORK = 0x40000000  # CLONE_NEWNET
_LIBC = ctypes.CDLL(None, use_errno=True)


class ClosedNetwork:
    """The network of this thread and of all processes that it starts."""

    def __init__(self, dead_end: socket.socket) -> None:
        self._dead_end = dead_end
        self._callers = 0

    def count_callers(self) -> int:
        """Return how many connections were made to the proxy."""
        while True:
            try:
                self._dead_end.accept()[0].close()
            except BlockingIOError:
                return self._callers
            self._callers += 1

    def count_attempts(self) -> int:
        """Return how often a process has tried to reach another host."""
        return self.count_callers() + _count_unrouted()


@contextmanager
def enter_closed_network() -> Iterator[ClosedNetwork]:
    """Put this thread into a closed network until the end of the `with`; needs root."""
    former = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _check(_LIBC.unshare(NEW_NETWORK))
        try:
            finish(["ip", "link", "set", "lo", "up"])
            address = urlsplit(DEAD_END)
            with socket.create_server((address.hostname or "", address.port or 0)) as dead_end:
                dead_end.setblocking(False)
                yield ClosedNetwork(dead_end)
        finally:
            _check(_LIBC.setns(former, NEW_NETWORK))
    finally:
        os.close(former)


def _check(result: int) -> None:
    if result:
        raise OSError(ctypes.get_errno(), "the network namespace cannot be entered")


def _count_unrouted() -> int:
    """Return the packets without a route (RFC 4293, ipSystemStatsOutNoRoutes)."""
    heads, values = (
        line.split()
        for line in Path("/proc/thread-self/net/snmp").read_text().splitlines()
        if line.startswith("Ip:")
    )
    found = int(dict(zip(heads, values, strict=True))["OutNoRoutes"])
    for line in Path("/proc/thread-self/net/snmp6").read_text().splitlines():
        name, value = line.split()
        found += int(value) if name == "Ip6OutNoRoutes" else 0
    return found
