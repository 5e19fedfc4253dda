"""A page of memory in which each worker says how much of its limits is in use.

The background process reads it: for /readyz, and for the metrics of what is open now.
"""

import mmap
import struct
import time
from dataclasses import dataclass

# When it was written, connections, their limit, descriptors, their limit, the last refusal.
_LOAD = struct.Struct("dqqqqd")
MAX_WORKERS = 64
FRESH = 5.0  # seconds after which what a worker wrote is not true any more
NEARLY_ALL = 0.9  # the part of the descriptors whose use counts as overload


@dataclass(frozen=True, slots=True)
class WorkerLoad:
    """What one worker has open; `refused_at` is when it last refused a client for want of room.

    Times are those of `time.monotonic`, which all processes share; 0 means never.
    """

    connections: int
    connection_limit: int
    descriptors: int
    descriptor_limit: int
    refused_at: float = 0.0

    def explain_overload(self, now: float) -> str:
        """Return why the worker cannot take more clients; empty if it can. Pure."""
        if self.refused_at and now - self.refused_at < FRESH:
            return f"refuses clients: {self.connections} of {self.connection_limit} connections"
        if self.descriptors > NEARLY_ALL * self.descriptor_limit:
            return f"has {self.descriptors} of {self.descriptor_limit} files and sockets open"
        return ""


class WorkerLoads:
    """The loads of all workers, in memory that forks share."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _LOAD.size * MAX_WORKERS)

    def write(self, number: int, load: WorkerLoad) -> None:
        """Note the load of worker `number`."""
        _LOAD.pack_into(
            self._memory,
            _LOAD.size * number,
            time.monotonic(),
            load.connections,
            load.connection_limit,
            load.descriptors,
            load.descriptor_limit,
            load.refused_at,
        )

    def read(self) -> dict[int, WorkerLoad]:
        """Return the load of each worker that wrote it lately."""
        now = time.monotonic()
        return {
            number: WorkerLoad(*values)
            for number, (written, *values) in enumerate(_LOAD.iter_unpack(self._memory[:]))
            if written and now - written < FRESH
        }

    def explain_overload(self) -> str:
        """Return a sentence about the first worker that is overloaded; empty if none is."""
        now = time.monotonic()
        reasons = ((number, load.explain_overload(now)) for number, load in self.read().items())
        return next((f"worker {number} {why}" for number, why in reasons if why), "")
