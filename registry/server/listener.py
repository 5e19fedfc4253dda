"""The socket that all workers accept from: bound by the supervisor, then shared fairly."""

import asyncio
import errno
import socket
import ssl
from contextlib import suppress

from aiohttp import web

from registry.api.repeated_answers import ReplayingProtocol, ResponseCache
from registry.errors import SettingsError
from registry.server.heartbeats import Heartbeats
from registry.server.port_owner import find_port_owner
from registry.settings.values import Address
from registry.tasks import Tasks

BACKLOG = 1024  # connections that the kernel keeps while all workers are busy
READ_BUFFER = 64 * 1024  # bytes read from a client at a time
YIELD_SECONDS = 0.002  # seconds that a busier worker waits, so that another worker can accept
DESCRIPTOR_WAIT = 0.5  # seconds to wait for descriptors when there are none left


def bind(key: str, address: Address) -> socket.socket:
    """Listen on an address, before anything is forked; `key` is the setting that names it.

    Raises:
        SettingsError: the port is in use or forbidden, or the host is not this machine's.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((address.host, address.port))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        other = "name another address with --listen"
        if key != "server.listen":
            other = f"write another address as {key}"
        why, cure = error.strerror or str(error), f"stop what uses it, or {other}"
        owner = find_port_owner(address.port) if error.errno == errno.EADDRINUSE else None
        if owner is not None:
            why += f" by {owner}"
            if owner.data:  # another program may be needed, such as sshd
                cure = f"stop it with `kill {owner.pid}`, or {other}"
        raise SettingsError(key, f"cannot listen on {address} ({why})", cure) from error
    listening.setblocking(False)
    return listening


class Listener:
    """Accepts clients of one worker from the socket that all workers share."""

    def __init__(
        self,
        server: web.Server,
        responses: ResponseCache,
        listening: socket.socket,
        tls: ssl.SSLContext | None,
        handshakes: Tasks,
    ) -> None:
        """`handshakes` runs the TLS handshakes; the caller closes it after this listener."""
        self._server = server
        self._responses = responses
        self._listening = listening
        self._tls = tls
        self._handshakes = handshakes
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
            heartbeats.set_connections(number, len(self._server.connections))
            if heartbeats.is_ahead(number):
                await asyncio.sleep(YIELD_SECONDS)
            try:
                self._accept()
            except BlockingIOError:  # another worker accepted the client
                continue
            except OSError:  # for example no free descriptor until another client leaves
                await asyncio.sleep(DESCRIPTOR_WAIT)

    def close(self) -> None:
        """Accept the clients that are already waiting, then close the socket.

        The kernel refuses new clients as soon as all processes have closed the socket.
        """
        with suppress(OSError):
            for _ in range(BACKLOG):
                self._accept()
        self._listening.close()

    def _accept(self) -> None:
        """Accept one client.

        Raises:
            BlockingIOError: no client is waiting.
            OSError: for example, no descriptor is free.
        """
        connection, _ = self._listening.accept()
        connection.setblocking(False)
        loop = asyncio.get_running_loop()
        # A separate task, because a slow TLS handshake must not delay the next client.
        self._handshakes.start(
            loop.connect_accepted_socket(self._make_protocol, connection, ssl=self._tls)
        )

    def _make_protocol(self) -> ReplayingProtocol:
        return ReplayingProtocol(self._server(), self._responses, self._read_buffer)

    async def _wait_readable(self) -> None:
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        loop.add_reader(self._listening, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_reader(self._listening)
