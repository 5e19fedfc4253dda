"""The files and sockets that a process may have open: the limit, how many are, and a spare one."""

import errno
import os
import resource
from contextlib import suppress

from registry.settings.model import LimitSettings

MAX_DESCRIPTORS = 1 << 20  # more would only make the tables of the kernel larger
RESERVE = 256  # descriptors of a process for its catalog, its log, upstreams and refused clients
EACH = 3  # descriptors of a client that gets a blob
MAX_CONNECTIONS = 10_000  # connections of one worker, if no setting says how many
LEAST_PER_ADDRESS = 64  # connections that one address may have at least, if no setting says


def raise_descriptor_limit() -> int:
    """Raise the limit of open files to what the system allows, and return it.

    Many systems start a process with 1,024, so that programs that use `select` go on to work, and
    allow it to raise that.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MAX_DESCRIPTORS)
    if soft not in (wanted, resource.RLIM_INFINITY) and soft < wanted:
        with suppress(OSError, ValueError):  # the sandbox of the process forbids it
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return find_descriptor_limit()


def find_descriptor_limit() -> int:
    """Return how many descriptors this process may have."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_DESCRIPTORS if soft == resource.RLIM_INFINITY else soft


def count_descriptors() -> int:
    """Return how many descriptors this process has."""
    # Since Linux 6.2 the size of the folder is their number; before, it is 0.
    if size := os.stat("/proc/self/fd").st_size:  # noqa: PTH116
        return size
    try:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    except OSError as error:
        if error.errno not in (errno.EMFILE, errno.ENFILE):
            raise
        return find_descriptor_limit()  # listing them needs one more, and all are in use


def plan_connections(limits: LimitSettings, descriptors: int) -> tuple[int, int]:
    """Return how many connections a worker may have, and how many of them one address. Pure.

    A client that gets a blob needs a socket and a file, and if it is slow a second descriptor for
    its socket. So a third of the `descriptors` are for clients, after the reserve.
    """
    possible = max(1, (descriptors - min(RESERVE, descriptors // 4)) // EACH)
    connections = min(limits.connections or MAX_CONNECTIONS, possible)
    own = limits.connections_per_address or max(LEAST_PER_ADDRESS, connections // 2)
    return connections, min(own, connections)


class SpareDescriptor:
    """A descriptor that is kept open, so that one is free when all others are in use."""

    def __init__(self) -> None:
        self._spare = _open_spare()

    def release(self) -> None:
        """Close it, so that the next call can use its number."""
        if self._spare >= 0:
            os.close(self._spare)
        self._spare = -1

    def take(self) -> None:
        """Open it again, if a descriptor is free."""
        if self._spare < 0:
            self._spare = _open_spare()


def _open_spare() -> int:
    try:
        return os.open(os.devnull, os.O_RDONLY)
    except OSError:
        return -1
