"""Whether a client accepts its answer: counted by the kernel, so that sending costs nothing more.

The kernel knows how many bytes the other side has acknowledged, whether they were written by
aiohttp, by `sendfile`, over TLS, or repeated.
"""

import socket
import struct
from dataclasses import dataclass
from typing import Any

# Fields of `struct tcp_info` of Linux: tcpi_bytes_acked (since 4.1), tcpi_notsent_bytes (4.6).
_ACKED, _NOT_SENT = struct.Struct("=120xQ"), struct.Struct("=144xI")
_INFO_SIZE = 148


@dataclass(frozen=True, slots=True)
class Sample:
    """The bytes that a client has accepted since it connected, and whether more of them wait."""

    accepted: int
    is_waiting: bool


def read_sample(connection: Any) -> Sample | None:
    """Ask the kernel about a connection; None if it has ended, or if the kernel does not know.

    `connection` is None for a connection over TLS that has just ended.
    """
    if connection is None:
        return None
    try:
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_SIZE)
    except OSError:
        return None
    if len(info) < _INFO_SIZE:
        return None
    return Sample(_ACKED.unpack_from(info)[0], _NOT_SENT.unpack_from(info)[0] > 0)


@dataclass(slots=True)
class SendProgress:
    """How one client accepts an answer while bytes of it wait.

    The rate is computed over one window after the other: `began` is the start of this one, when
    `base` bytes had been accepted. `moved` is when the client accepted something for the last time,
    `last` how many bytes it had accepted then.
    """

    began: float
    base: int
    moved: float
    last: int

    @classmethod
    def begin(cls, now: float, accepted: int) -> "SendProgress":
        """Return the progress of a client that has just accepted `accepted` bytes."""
        return cls(now, accepted, now, accepted)

    def add(self, now: float, accepted: int) -> None:
        """Note how many bytes the client has accepted now."""
        if accepted > self.last:
            self.moved, self.last = now, accepted

    def find_fault(self, now: float, timeout: float, rate: int) -> str:
        """Return why the client has to be cut: `stalled`, `too slow`, or an empty text.

        It is stalled if it accepted nothing for `timeout` seconds, and too slow if it accepted less
        than `rate` bytes a second over a window of that length. Then a new window begins.
        """
        if now - self.moved >= timeout:
            return "stalled"
        if now - self.began < timeout:
            return ""
        if self.last - self.base < rate * (now - self.began):
            return "too slow"
        self.began, self.base = now, self.last
        return ""
