"""A server with one stored blob, on a real socket, in the loop of the test."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from aiohttp import web

from registry.api.access_log import AccessLog
from registry.api.blobs import answer_blob
from registry.api.connection import ClientServer
from registry.api.middleware import Middleware, Notes
from registry.api.open_requests import OpenRequests
from registry.api.repeated_answers import ResponseCache
from registry.api.replaying_protocol import ReplayingProtocol
from registry.metrics.process_metrics import Metrics
from registry.mirror.blob_bodies import StoredBlob
from registry.mirror.cache_status import CacheStatus
from registry.mirror.kept_blobs import KeptBlob
from registry.oci.digest import Digest
from registry.oci.names import Repository
from registry.settings.client_networks import find_network
from registry.store.contract import FileBody

SIZE = 16 << 20  # bytes; more than the kernel takes for a client that does not read
REFUSED_AFTER = 0.05  # seconds that a request waits if its address has too many
DIGEST = Digest.of(b"")  # nothing here compares it with the bytes


class BlobSite:
    """A server of ours that takes the place of `Blobs`, too; it counts how its blob is opened.

    `asked` is how often aiohttp has answered, `reopened` how often that was not needed, and `used`
    how often a blob that was opened again was sent.
    """

    stored = CacheStatus.HIT

    def __init__(self, path: Path, most_requests: int = 1000) -> None:
        """`most_requests` is how many requests an address may have at once."""
        self.path = path
        self.content = os.urandom(4096) * (SIZE // 4096)
        path.write_bytes(self.content)
        self.metrics = Metrics()
        self.asked = self.reopened = self.used = 0
        self.is_allowed = True
        self.version = 0  # of the catalog
        self.port = 0
        access_log = AccessLog(self.metrics)
        open_requests = OpenRequests(
            most_requests, self.metrics, find_network, patience=REFUSED_AFTER
        )
        handler = Middleware(access_log, self._answer, open_requests=open_requests).answer
        self.server = ClientServer(handler, access_log.write_refusal, keep_alive=1000)
        self.cache = ResponseCache(access_log, open_requests=open_requests)
        self.connections: list[ReplayingProtocol] = []
        self.clients: list[Client] = []
        self._read_buffer = memoryview(bytearray(65536))

    async def _answer(self, request: web.BaseRequest, notes: Notes) -> web.StreamResponse:
        blobs: Any = self
        return await answer_blob(request, notes, blobs, Repository("docker.io", "a"), DIGEST)

    def _open(self) -> StoredBlob:
        return StoredBlob(FileBody(os.open(self.path, os.O_RDONLY), SIZE), self.stored)

    async def get(self, *_: object) -> StoredBlob:
        self.asked += 1
        return self._open()

    def keep(self, *_: object) -> KeptBlob:
        return KeptBlob(self._reopen, lambda: self.version, set())

    async def _reopen(self) -> StoredBlob | None:
        if not self.is_allowed:
            return None
        self.reopened += 1
        return replace(self._open(), note_use=self._note_use)

    def _note_use(self) -> None:
        self.used += 1

    def allow(self, *, is_allowed: bool) -> None:
        """Change in the catalog whether the blob may be sent."""
        self.is_allowed = is_allowed
        self.version += 1

    def is_open(self) -> bool:
        """Whether a descriptor of this process leads to the blob."""
        for link in Path("/proc/self/fd").iterdir():
            with suppress(OSError):
                if link.samefile(self.path):
                    return True
        return False

    def make_protocol(self) -> ReplayingProtocol:
        made = ReplayingProtocol(self.server, self.cache, self._read_buffer, lambda _: None)
        self.connections.append(made)
        return made

    async def connect(self, window: int = 65536) -> "Client":
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", self.port))
        client = Client(*await asyncio.open_connection(sock=connection))
        self.clients.append(client)
        return client

    async def warm(self) -> "Client":
        """Return a client of which aiohttp has answered a request for a part, and for the whole."""
        client = await self.connect()
        for part in ("0-9", ""):
            client.ask(part)
            await client.read()
        assert (self.asked, self.reopened) == (2, 0)
        return client


class Client:
    """A connection that is kept."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def ask(self, part: str = "") -> None:
        """Send a request for a part (as in `Range`), or for the whole."""
        lines = [
            "GET /blob HTTP/1.1",
            "Host: a",
            *([f"Range: bytes={part}"] if part else []),
            "",
            "",
        ]
        self.writer.write("\r\n".join(lines).encode())

    async def read(self) -> tuple[int, bytes]:
        """Return status and body of one answer."""
        async with asyncio.timeout(30):
            head = await self.reader.readuntil(b"\r\n\r\n")
            lines = head.decode().split("\r\n")
            (length,) = (int(line[16:]) for line in lines if line.startswith("Content-Length: "))
            return int(lines[0].split()[1]), await self.reader.readexactly(length)


@asynccontextmanager
async def open_blob_site(folder: Path, most_requests: int = 1000) -> AsyncIterator[BlobSite]:
    """Open the server on a free port of the loopback."""
    site = BlobSite(folder / "blob", most_requests)
    listening = await asyncio.get_running_loop().create_server(site.make_protocol, "127.0.0.1", 0)
    site.port = listening.sockets[0].getsockname()[1]
    try:
        yield site
    finally:
        for client in site.clients:
            client.writer.transport.abort()
            with suppress(ConnectionError):
                await client.writer.wait_closed()
        listening.close()
        await site.server.shutdown(0.1)
        await listening.wait_closed()
