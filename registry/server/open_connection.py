"""One connection of a client, from its accept to its end, and what is wrong with it."""

import asyncio
import socket

from registry.api.replaying_protocol import ReplayingProtocol
from registry.server.send_progress import SendProgress, read_sample
from registry.settings.model import LimitSettings

MAX_HEAD = 256 * 1024  # bytes of the head of a request; a single header may have 64 KiB
IDLE = "idle"  # the fault of a connection that is closed without a word, as every server does
# Seconds after which a TLS handshake may have to make room. Not at once: whoever is closed comes
# again, and the first step of a handshake costs more than to keep it.
SLOW_HANDSHAKE = 5.0
STALLED = 10.0  # seconds without an accepted byte after which a client may have to make room


class OpenConnection:
    """A connection is silent until its first byte; then it has a protocol, and perhaps TLS.

    A silent connection costs a socket and little memory: aiohttp's objects for it take 20 KiB, and
    those of TLS more.
    """

    __slots__ = ("_opening", "_progress", "_protocol", "_socket", "began", "client", "network")

    def __init__(
        self, connection: socket.socket, client: str, network: bytes, began: float
    ) -> None:
        """`network` is what counts as one address; `began` is when the client was accepted."""
        self.client = client
        self.network = network
        self.began = began
        self._socket = connection
        self._protocol: ReplayingProtocol | None = None
        self._opening: asyncio.Task[None] | None = None
        self._progress: SendProgress | None = None

    def begin(self, protocol: ReplayingProtocol, opening: asyncio.Task[None], began: float) -> None:
        """Note that the first byte has come; `opening` is the task that connects the protocol."""
        self._protocol, self._opening, self.began = protocol, opening, began

    @property
    def is_silent(self) -> bool:
        """Whether no byte has come from the client."""
        return self._protocol is None

    def find_fault(self, now: float, limits: LimitSettings) -> str:
        """Return why the connection has to be closed now; empty if it may stay."""
        protocol = self._protocol
        if protocol is None:
            return "no request" if now - self.began > limits.request_timeout else ""
        if not protocol.is_connected:
            return "slow handshake" if now - self.began > limits.handshake_timeout else ""
        if (began := protocol.head_began) is not None:
            if protocol.head_size > MAX_HEAD:
                return "large request"
            return "slow request" if now - began > limits.request_timeout else ""
        if (since := protocol.idle_since) is not None:
            self._progress = None
            return IDLE if now - since > limits.idle_timeout else ""
        return self._find_send_fault(protocol, now, limits)

    def _find_send_fault(
        self, protocol: ReplayingProtocol, now: float, limits: LimitSettings
    ) -> str:
        sample = read_sample(protocol.kernel_socket)
        if sample is None or not (sample.is_waiting or protocol.has_unsent):
            # The answer is not made yet, or the client waits for an upstream.
            self._progress = None
            return ""
        if self._progress is None:
            self._progress = SendProgress.begin(now, sample.accepted)
        self._progress.add(now, sample.accepted)
        return self._progress.find_fault(now, limits.send_timeout, limits.min_send_rate)

    def rank(self, now: float) -> tuple[bool, float] | None:
        """Return the place of the connection among those that may have to make room for others.

        The least comes first: idle ones by the time since when, then slow handshakes, and those
        whose clients accept nothing. None: a client uses it.
        """
        protocol = self._protocol
        if protocol is None:
            return False, self.began
        if not protocol.is_connected:
            return (True, self.began) if now - self.began >= SLOW_HANDSHAKE else None
        since = protocol.head_began or protocol.idle_since
        if since is not None:
            return False, since
        if self._progress is not None and now - self._progress.moved >= STALLED:
            return True, self._progress.moved
        return None

    def forget(self) -> None:
        """Refer to nothing any more: protocol and connection would keep each other in memory."""
        self._protocol = self._opening = None

    def close(self) -> None:
        """Close it, whatever it is doing."""
        protocol = self._protocol
        if protocol is None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
        elif not protocol.is_connected:
            if self._opening is not None:
                self._opening.cancel()
        elif protocol.head_began or protocol.idle_since:
            protocol.close_idle()
        else:
            protocol.cut()
