"""The socket that all workers accept from: bound by the supervisor, then shared fairly."""

import asyncio
import errno
import socket
import ssl
import time
from contextlib import suppress
from functools import partial

from registry.api.connection import ClientServer
from registry.api.repeated_answers import ResponseCache
from registry.api.replaying_protocol import ReplayingProtocol
from registry.logs import get_logger
from registry.server.addresses import AddressRefused
from registry.server.connections import Connections
from registry.server.descriptors import SpareDescriptor
from registry.server.heartbeats import Heartbeats
from registry.server.live_tls import LiveTLS
from registry.server.open_connection import OpenConnection
from registry.server.port_owner import find_port_owner
from registry.server.tls import ClientTLS
from registry.settings.values import Address
from registry.tasks import Tasks

BACKLOG = 1024  # connections that the kernel keeps while all workers are busy
READ_BUFFER = 64 * 1024  # bytes read from a client at a time
YIELD_SECONDS = 0.002  # seconds that a busier worker waits, so that another worker can accept
KERNEL_WAIT = 0.5  # seconds to wait when the kernel has no memory for a connection
HANDSHAKE = b"\x16"  # the first byte of a client that speaks TLS (RFC 8446, section 5.1)
NO_DESCRIPTOR = frozenset({errno.EMFILE, errno.ENFILE})
# Bytes that the kernel takes from us before it has sent the bytes before them. More would only wait
# in its memory: what is on its way does not count. It limits no throughput as long as we are woken
# in time.
UNSENT = 256 * 1024
USER_TIMEOUT = 60.0  # seconds after which the kernel closes a connection whose client is gone


def bind(key: str, address: Address) -> socket.socket:
    """Listen on an address, before anything is forked; `key` is the setting that names it.

    Raises:
        AddressRefused: the port is in use or forbidden, or the host is not this machine's.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((address.host, address.port))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        why, stop = error.strerror or str(error), "stop what uses it"
        owner = find_port_owner(address.port) if error.errno == errno.EADDRINUSE else None
        if owner is not None:
            why += f" by {owner}"
            if owner.data:  # another program may be needed, such as sshd
                stop = f"stop it with `kill {owner.pid}`"
        raise AddressRefused(key, f"cannot listen on {address} ({why})", stop) from error
    _limit_kernel(listening)
    listening.setblocking(False)
    return listening


def _limit_kernel(listening: socket.socket) -> None:
    """Limit what the kernel does for clients that do not read; accepted sockets inherit it."""
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(USER_TIMEOUT * 1000))


class Listener:
    """Accepts clients of one worker from the socket that all workers share."""

    def __init__(
        self,
        server: ClientServer,
        responses: ResponseCache,
        listening: socket.socket,
        *,
        tls: LiveTLS | None,
        connections: Connections,
        tasks: Tasks,
    ) -> None:
        """`tasks` runs the TLS handshakes; the caller closes it after this listener."""
        self._server = server
        self._responses = responses
        self._listening = listening
        self._tls = tls
        self._connections = connections
        self._tasks = tasks
        self._spare = SpareDescriptor()
        self._log = get_logger("registry.server")
        self._read_buffer = memoryview(bytearray(READ_BUFFER))

    async def keep_accepting(self, heartbeats: Heartbeats, number: int) -> None:
        """Accept clients until cancelled, so that each worker gets its share of many clients.

        asyncio's own server accepts all waiting connections in one turn of the loop, so the worker
        that wakes first would serve all of them. Here a worker with more connections than another
        one waits for a moment, so that the other can accept first. It does not wait longer, because
        the other may be stuck.
        """
        while True:
            await self._wait_readable()
            heartbeats.set_connections(number, len(self._connections))
            if heartbeats.is_ahead(number):
                await asyncio.sleep(YIELD_SECONDS)
            try:
                self._accept()
            except BlockingIOError:  # another worker accepted the client
                continue
            except OSError as error:
                if error.errno in NO_DESCRIPTOR:
                    self._refuse_without_descriptor()
                else:  # the client has left, or the kernel has no memory
                    await asyncio.sleep(KERNEL_WAIT if error.errno != errno.ECONNABORTED else 0)

    def close(self) -> None:
        """Accept the clients that are already waiting, then close the socket.

        The kernel refuses new clients as soon as all processes have closed the socket.
        """
        with suppress(OSError):
            for _ in range(BACKLOG):
                self._accept()
        self._listening.close()

    def close_silent(self) -> None:
        """Close what no request will come from any more."""
        self._connections.close_silent()
        self._spare.release()

    def _accept(self) -> None:
        """Accept one client.

        Raises:
            BlockingIOError: no client is waiting.
            OSError: for example, no descriptor is free.
        """
        connection, peer = self._listening.accept()
        connection.setblocking(False)
        entry = self._connections.add(connection, str(peer[0]))
        if isinstance(entry, str):
            self._connections.refuse(connection, entry, has_tls=self._tls is not None)
            return
        if not self._look(connection, entry):
            asyncio.get_running_loop().add_reader(connection, self._begin, connection, entry)

    def _begin(self, connection: socket.socket, entry: OpenConnection) -> None:
        asyncio.get_running_loop().remove_reader(connection)
        self._look(connection, entry)

    def _look(self, connection: socket.socket, entry: OpenConnection) -> bool:
        """Open a connection if bytes have come; return false if the client has said nothing yet."""
        try:
            first = connection.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            first = b""
        if not first:  # the client has left
            self._connections.discard(entry)
            connection.close()
        elif self._tls is None:
            self._open(connection, entry)
        elif first == HANDSHAKE:
            self._connections.handshakes.begin(entry, partial(self._open, connection, entry))
        else:
            self._connections.refuse_plain_http(entry, connection)
        return True

    def _open(self, connection: socket.socket, entry: OpenConnection) -> None:
        """Make the protocol of a connection that has bytes to read."""
        protocol = ReplayingProtocol(
            self._server,
            self._responses,
            self._read_buffer,
            lambda _: self._connections.discard(entry),
        )
        # A separate task, because a slow TLS handshake must not delay the next client.
        opening = self._tasks.start(self._connect(connection, entry, protocol))
        entry.begin(protocol, opening, time.monotonic())

    async def _connect(
        self, connection: socket.socket, entry: OpenConnection, protocol: ReplayingProtocol
    ) -> None:
        loop = asyncio.get_running_loop()
        if self._tls is None:
            await loop.connect_accepted_socket(lambda: protocol, connection)
            return
        waiter = loop.create_future()
        shaking = ClientTLS(protocol, self._tls.context, waiter, self._read_buffer)
        transport, _ = await loop.connect_accepted_socket(lambda: shaking, connection)
        try:
            await waiter
        except ssl.SSLCertVerificationError as error:
            why, client = error.verify_message, self._connections.show_address(entry.client)
            self._log.info("client certificate refused", client=client, why=why)
        finally:
            self._connections.handshakes.end(entry)
            if not protocol.is_connected:
                transport.abort()
                self._connections.discard(entry)

    def _refuse_without_descriptor(self) -> None:
        """Make room for the next client, and close the connection of this one.

        Without the spare descriptor it could not even be refused: it would wait for ever, and the
        worker would be woken for it again and again.
        """
        self._connections.evict_idle()
        self._spare.release()
        try:
            connection, _ = self._listening.accept()
            connection.close()
            self._connections.note_refusal("descriptors")
        except OSError:  # another worker accepted it, or another thread took the descriptor
            pass
        self._spare.take()

    async def _wait_readable(self) -> None:
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        loop.add_reader(self._listening, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_reader(self._listening)
