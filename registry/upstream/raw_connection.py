"""Reading the bytes of a connection past its protocol, in a thread.

asyncio and aiohttp take a connection's bytes in pieces, and pass each of them through several
functions on the event loop. For a large body, one thread can take them straight from the socket
(decision record 0035). While it does, the event loop must not read from the connection.
"""

import asyncio
import select
import socket
import ssl
from typing import Any, Protocol

ENCRYPTED = 256 * 1024  # bytes that are received at a time to be decrypted


class RawConnection(Protocol):
    """The read side of a connection; the event loop does not read from it meanwhile."""

    def fileno(self) -> int:
        """Return the descriptor that tells when bytes have come."""
        ...

    def receive(self, view: memoryview) -> int:
        """Put the bytes that are there into `view`, and return their number; 0 is the end.

        This does not wait. It may run in a thread, in one at a time.

        Raises:
            BlockingIOError: no bytes are there.
            OSError: the connection is broken.
        """
        ...

    def wait(self, seconds: float) -> bool:
        """Wait in a thread until bytes have come; return whether they have."""
        ...

    def is_quiet(self) -> bool:
        """Whether nothing has come that was not received, neither bytes nor the end."""
        ...

    def is_closed(self) -> bool:
        """Whether the event loop may read from the connection again."""
        ...

    def close(self) -> None:
        """Let the event loop read from the connection again, and close what was opened here."""
        ...


def take_over(transport: asyncio.Transport) -> RawConnection | None:
    """Stop the event loop from reading from a connection, and return its read side.

    Returns None if this is not possible, with this kind of connection, or as no descriptor is free.
    The connection then stays as it is.
    """
    try:
        return _take_over(transport)
    except OSError:
        return None


def _take_over(transport: asyncio.Transport) -> RawConnection | None:
    if transport.get_extra_info("sslcontext") is None:
        return _PlainConnection(transport) if _has_socket(transport) else None
    # asyncio has no public way to the parts of a TLS connection. Where they are not found, the body
    # is read on the event loop.
    layer: Any = getattr(transport, "_ssl_protocol", None)
    below = getattr(layer, "_transport", None)
    session = getattr(layer, "_sslobj", None)
    encrypted, answers = getattr(layer, "_incoming", None), getattr(layer, "_outgoing", None)
    if below is None or session is None or encrypted is None or answers is None:
        return None
    return _TlsConnection(below, session, encrypted, answers) if _has_socket(below) else None


def _has_socket(transport: asyncio.Transport) -> bool:
    """Whether a transport reads from a socket itself, and not from another transport."""
    is_plain = transport.get_extra_info("sslcontext") is None
    return is_plain and transport.get_extra_info("socket") is not None


class _PlainConnection:
    """The read side of a connection without TLS: its socket."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        # A descriptor of its own: the event loop may close its one at any time, and the number
        # would soon belong to another file.
        self._socket: socket.socket = transport.get_extra_info("socket").dup()
        self._socket.setblocking(False)
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)
        transport.pause_reading()

    def fileno(self) -> int:
        """See `RawConnection`."""
        return self._socket.fileno()

    def receive(self, view: memoryview) -> int:
        """See `RawConnection`."""
        return self._socket.recv_into(view)

    def wait(self, seconds: float) -> bool:
        """See `RawConnection`."""
        return bool(self._poll.poll(seconds * 1000))

    def is_quiet(self) -> bool:
        """See `RawConnection`."""
        return not self.wait(0)

    def is_closed(self) -> bool:
        """See `RawConnection`."""
        return self._socket.fileno() < 0

    def close(self) -> None:
        """See `RawConnection`."""
        self._socket.close()
        self._transport.resume_reading()


class _TlsConnection(_PlainConnection):
    """The read side of a TLS connection: the socket, and the layer that decrypts.

    `session` decrypts what is put into `encrypted`; what it has to send is put into `answers`.
    """

    def __init__(
        self,
        below: asyncio.Transport,
        session: Any,
        encrypted: ssl.MemoryBIO,
        answers: ssl.MemoryBIO,
    ) -> None:
        super().__init__(below)
        self._session = session
        self._encrypted = encrypted
        self._answers = answers
        self._buffer = memoryview(bytearray(ENCRYPTED))

    def receive(self, view: memoryview) -> int:
        """Decrypt the records that are there, as many as `view` has room for.

        See `RawConnection`.
        """
        count = 0
        try:
            while count < len(view):
                got = self._decrypt(view[count:])
                if not got:
                    break
                count += got
        except OSError:
            if not count:
                raise  # after some bytes, the next call raises the same error
        return count

    def _decrypt(self, view: memoryview) -> int:
        """Put the bytes of one record into `view`, and return their number; 0 is the end."""
        while True:
            try:
                count: int = self._session.read(len(view), view)
            except ssl.SSLWantReadError:  # the rest of the record is not here yet
                received = super().receive(self._buffer)
                if not received:
                    return 0
                self._encrypted.write(self._buffer[:received])
            else:
                return count

    def is_quiet(self) -> bool:
        """See `RawConnection`."""
        return not self._session.pending() and not self._encrypted.pending and super().is_quiet()

    def close(self) -> None:
        """See `RawConnection`."""
        if self._answers.pending:  # such as the answer to a change of keys
            self._transport.write(self._answers.read())
        super().close()
